import test from 'ava';
import type { ContainerConfig, HostConfig } from '#agent/core/container-types.ts';
import type { Machine } from '#agent/core/linux/machine.ts';
import {
  checkConfig,
  commandLine,
  completedHostConfig,
  mergedConfig,
  warningsOf,
} from '#agent/core/settings.ts';
import { checkSupported } from '#agent/core/unsupported.ts';

const machine = {
  cpus: 2,
  cgroupVersion: 2,
  swapLimit: true,
  blockWeight: true,
  usable: { cpus: '0-1', mems: '0' },
  capabilities: new Set(['CAP_CHOWN']),
} as unknown as Machine;
const asked = (config: Partial<ContainerConfig>): ContainerConfig => ({ Image: 'x', ...config });

test('config: the user goes before the image, environment and maps are joined', (t) => {
  const image = {
    Env: ['PATH=/i', 'A=image'],
    Cmd: ['image'],
    Entrypoint: ['entry'],
    WorkingDir: '/i',
    Labels: { a: 'i', b: 'i' },
    Volumes: { '/v': {} },
    ExposedPorts: { '80/tcp': {} },
    StopSignal: 'SIGINT',
  };
  const merged = mergedConfig(asked({ Env: ['A=user', 'B=user'], Labels: { a: 'u' } }), image);
  t.deepEqual(merged.Env, ['A=user', 'B=user', 'PATH=/i']);
  t.deepEqual(merged.Labels, { a: 'u', b: 'i' });
  t.deepEqual(merged.Cmd, ['image']);
  t.deepEqual(commandLine(merged), { path: 'entry', args: ['image'] });
  t.is(merged.StopSignal, 'SIGINT');
  t.deepEqual(mergedConfig(asked({ Cmd: ['user'] }), image).Cmd, ['user']);
});

test("config: an entrypoint of the user takes the image's command away", (t) => {
  const image = { Cmd: ['image'], Entrypoint: ['entry'] };
  t.deepEqual(commandLine(mergedConfig(asked({ Entrypoint: ['mine'] }), image)), { path: 'mine', args: [] });
  t.deepEqual(commandLine(mergedConfig(asked({ Entrypoint: [''], Cmd: ['c'] }), image)), {
    path: 'c',
    args: [],
  });
  t.throws(() => commandLine(mergedConfig(asked({ Entrypoint: [''] }), {})), {
    message: 'no command specified',
  });
});

test('config: a health check is joined field by field', (t) => {
  const image = { Healthcheck: { Test: ['CMD', 'i'], Interval: 5e9, Retries: 4 } };
  const merged = mergedConfig(asked({ Healthcheck: { Interval: 1e9, Retries: 0, Test: [] } }), image);
  t.deepEqual(merged.Healthcheck, { Test: ['CMD', 'i'], Interval: 1e9, Retries: 4 });
  t.false('Healthcheck' in mergedConfig(asked({}), {}));
});

test("host config: Docker's defaults", (t) => {
  const config = completedHostConfig({ Memory: 100 }, machine);
  t.is(config.NetworkMode, 'bridge');
  t.is(config.ShmSize, 67_108_864);
  t.is(config.MemorySwap, 200);
  t.is(config.CgroupnsMode, 'private');
  t.deepEqual(config.RestartPolicy, { Name: 'no', MaximumRetryCount: 0 });
  t.true((config.MaskedPaths ?? []).includes('/proc/kcore'));
  t.deepEqual(completedHostConfig({ Privileged: true }, machine).MaskedPaths, []);
  t.deepEqual(completedHostConfig({ MaskedPaths: [] }, machine).MaskedPaths, []);
  t.deepEqual(completedHostConfig({ SecurityOpt: ['systempaths=unconfined'] }, machine).ReadonlyPaths, []);
});

const refused: readonly [string, Partial<ContainerConfig>, HostConfig, RegExp][] = [
  ['an empty variable', { Env: ['=x'] }, {}, /invalid environment variable: =x/],
  ['a relative folder', { WorkingDir: 'a' }, {}, /working directory 'a' is invalid/],
  ['an unknown signal', { StopSignal: 'NO' }, {}, /invalid signal: NO/],
  [
    'a short interval',
    { Healthcheck: { Interval: 5 } },
    {},
    /Interval in Healthcheck cannot be less than 1ms/,
  ],
  ['negative retries', { Healthcheck: { Retries: -1 } }, {}, /Retries in Healthcheck cannot be negative/],
  ['little memory', {}, { Memory: 1000 }, /Minimum memory limit allowed is 6MB/],
  ['less with swap than without', {}, { Memory: 1e8, MemorySwap: 1e7 }, /should be larger than memory limit/],
  ['swap alone', {}, { MemorySwap: 1e8 }, /always set the Memory limit/],
  ['more processors than there are', {}, { NanoCpus: 9e9 }, /range of CPUs is from 0\.01 to 2\.00/],
  ['an unknown policy', {}, { RestartPolicy: { Name: 'maybe' } }, /unknown policy 'maybe'/],
  [
    'a count for always',
    {},
    { RestartPolicy: { Name: 'always', MaximumRetryCount: 2 } },
    /can only be used with/,
  ],
  [
    'a policy for what goes',
    {},
    { AutoRemove: true, RestartPolicy: { Name: 'always' } },
    /can't create 'AutoRemove'/,
  ],
  ['an unknown log driver', {}, { LogConfig: { Type: 'x' } }, /no log driver named 'x' is registered/],
  ['an unknown runtime', {}, { Runtime: 'x' }, /unknown or invalid runtime name: x/],
];

for (const [what, config, hostConfig, message] of refused)
  test(`refused: ${what}`, (t) => {
    t.throws(() => checkConfig(asked(config), hostConfig, machine), {
      code: 'INVALID_ARGUMENT',
      message,
    } as object);
  });

test('warnings: capabilities that this machine has not got are named', (t) => {
  t.regex(warningsOf({ CapAdd: ['SYS_TIME'], CapDrop: ['ALL'] }, machine).join(), /CAP_SYS_TIME/);
  t.deepEqual(warningsOf({}, machine), []);
});

test('warnings: what version 2 of control groups does not have is left out there', (t) => {
  const limits: HostConfig = { MemorySwappiness: 7, OomKillDisable: true };
  const [killer = '', swappiness = '', ...more] = warningsOf(limits, machine);
  t.regex(killer, /OomKillDisable discarded/);
  t.regex(swappiness, /Memory swappiness discarded/);
  t.deepEqual(more, []);
  t.deepEqual(warningsOf({ ...limits, Memory: 1 }, { ...machine, cgroupVersion: 1 }), []);
});

test('warnings: weights are left out where the machine does not go by them', (t) => {
  const asked: HostConfig = { BlkioWeight: 300 };
  t.deepEqual(warningsOf(asked, machine), []);
  t.regex(warningsOf(asked, { ...machine, blockWeight: false }).join(), /Weight discarded/);
});

const unsupported: readonly [string, HostConfig, RegExp][] = [
  [
    'devices of a driver',
    { DeviceRequests: [{ Capabilities: [['gpu', 'x'], ['y']] }] },
    /could not select device driver "" with capabilities: \[\[gpu x\] \[y\]\]/,
  ],
  ['a limit of the file system', { StorageOpt: { size: '1G' } }, /--storage-opt is supported only for/],
  ['users of its own', { UsernsMode: 'private' }, /invalid user namespace mode: private/],
  ['isolation of another system', { Isolation: 'hyperv' }, /invalid isolation "hyperv" on linux/],
];

for (const [what, hostConfig, message] of unsupported)
  test(`not supported and said so: ${what}`, (t) => {
    t.throws(() => checkSupported({ hostConfig }), {
      code: 'INVALID_ARGUMENT',
      message,
    } as object);
  });

test('supported: what goes without saying may be said', (t) => {
  const hostConfig: HostConfig = {
    UsernsMode: 'host',
    Isolation: 'default',
    StorageOpt: {},
    DeviceRequests: [],
  };
  t.notThrows(() => checkSupported({ hostConfig }));
});
