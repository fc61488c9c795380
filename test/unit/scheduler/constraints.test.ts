import test from 'ava';
import type { NodeId } from '#proto/types/ids.ts';
import type { Node } from '#proto/types/objects.ts';
import { meetsConstraints, meetsPlatforms, parseConstraints } from '#scheduler/constraints.ts';

const NODE: Node = {
  id: 'abc123' as NodeId,
  version: 1,
  createdAtMs: 0,
  updatedAtMs: 0,
  role: 'worker',
  spec: { role: 'worker', availability: 'active', labels: { zone: 'East', rack: '7' } },
  status: { state: 'ready', addr: '10.1.2.3' },
  description: {
    hostname: 'alpha',
    platform: { architecture: 'x86_64', os: 'linux' },
    resources: { nanoCpus: 1e9, memoryBytes: 1e9 },
    engine: { version: '1', labels: { storage: 'ssd' } },
    peerAddr: '',
    dataPathAddr: '',
  },
};

const meets = (...expressions: string[]): boolean => meetsConstraints(NODE, parseConstraints(expressions));

for (const [expression, expected] of [
  ['node.id == ABC123', true],
  ['node.id != abc123', false],
  ['node.hostname==alpha', true],
  ['node.hostname == alph', false],
  ['node.hostname == alpha.*', false],
  ['NODE.HOSTNAME == ALPHA', true],
  ['node.role == worker', true],
  ['node.role == Manager', false],
  ['node.role != manager', true],
  ['node.ip == 10.1.2.3', true],
  ['node.ip != 10.1.2.3', false],
  ['node.ip == 10.1.0.0/16', true],
  ['node.ip != 10.1.0.0/16', false],
  ['node.ip == 10.2.0.0/16', false],
  ['node.ip != 10.2.0.0/16', true],
  ['node.ip == 2001:db8::/32', false],
  ['node.ip == somewhere', false],
  ['node.ip != somewhere', false],
  ['node.ip != 10.1.0.0/99', false],
  ['node.platform.os == Linux', true],
  ['node.platform.os != linux', false],
  ['node.platform.arch == x86_64', true],
  ['node.platform.arch == amd64', true],
  ['node.platform.arch == arm64', false],
  ['node.labels.zone == east', true],
  ['node.labels.Zone == east', false],
  ['node.labels.zone != east', false],
  ['node.labels.missing == yes', false],
  ['node.labels.missing != yes', true],
  ['engine.labels.storage == SSD', true],
  ['engine.labels.storage != ssd', false],
  ['engine.labels.missing != ssd', true],
  ['node.colour == red', false],
  ['node.colour != red', false],
] as const) {
  test(`constraints: ${expression} is ${expected} on a linux node in the east`, (t) => {
    t.is(meets(expression), expected);
  });
}

test('constraints: every one of several must hold', (t) => {
  t.true(meets('node.role == worker', 'node.labels.zone == east'));
  t.false(meets('node.role == worker', 'node.labels.zone == west'));
  t.true(meets());
});

test('constraints: a node that never said anything of itself has empty values', (t) => {
  const { description: _, ...silent } = NODE;
  t.false(meetsConstraints(silent, parseConstraints(['node.hostname == alpha'])));
  t.true(meetsConstraints(silent, parseConstraints(['node.hostname != alpha'])));
  t.false(meetsPlatforms(silent, [{ os: 'linux' }]));
});

for (const [expression, message] of [
  ['node.labels.zone = east', 'constraint expected one operator from ==, !='],
  ['node.labels.zone', 'constraint expected one operator from ==, !='],
  ['1node == east', "key '1node' is invalid"],
  [' == east', "key '' is invalid"],
  ['node.labels.$zone == east', "key 'node.labels.$zone' is invalid"],
  ['node.labels.zone == ', "value '' is invalid"],
  ['node.labels.zone == e@st', "value 'e@st' is invalid"],
  ['node.labels.zone === east', "value '= east' is invalid"],
] as const) {
  test(`constraints: "${expression}" is refused`, (t) => {
    t.throws(() => parseConstraints([expression]), { code: 'INVALID_ARGUMENT', message });
  });
}

for (const [platform, expected] of [
  [{ os: 'linux', architecture: 'amd64' }, true],
  [{ os: 'linux', architecture: 'x86_64' }, true],
  [{ os: 'linux', architecture: 'arm64' }, false],
  [{ os: 'windows', architecture: 'amd64' }, false],
  [{ os: 'linux' }, true],
  [{ architecture: 'amd64' }, true],
  [{}, true],
] as const) {
  test(`platforms: ${JSON.stringify(platform)} is ${expected} for x86_64 linux`, (t) => {
    t.is(meetsPlatforms(NODE, [{ os: 'plan9', architecture: 'mips' }, platform]), expected);
  });
}
