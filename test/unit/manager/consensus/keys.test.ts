import { statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { machineDisk } from '#manager/consensus/disk.ts';
import {
  areLocked,
  createKeys,
  type DataKey,
  hasKeys,
  loadKeys,
  relockKeys,
} from '#manager/consensus/keys.ts';
import { seededRandom } from '#proto/base/random.ts';
import { SimDisk } from './support/sim-disk.ts';

function setup() {
  const disk = new SimDisk();
  disk.makeDirectory('state');
  return { disk, random: seededRandom(9) };
}

function textOf({ id, secret }: DataKey): string {
  return `${id} ${Buffer.from(secret).toString('hex')}`;
}

function rewrite(disk: SimDisk, change: (text: string) => string): void {
  disk.edit('state/keys.json', (bytes) => Buffer.from(change(Buffer.from(bytes).toString())));
}

test('keys: what was made is found again, also after a power failure', (t) => {
  const { disk, random } = setup();
  t.false(hasKeys(disk, 'state'));
  const made = createKeys(disk, 'state', random);
  disk.crash(random);
  const found = loadKeys(disk, 'state');
  t.deepEqual(Buffer.from(found.current.secret), Buffer.from(made.current.secret));
  t.is(found.current.id, made.current.id);
});

test('keys: only their owner can read the file', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'shoal-keys-test-'));
  try {
    createKeys(machineDisk, directory, seededRandom(1));
    t.is(statSync(join(directory, 'keys.json')).mode & 0o777, 0o600);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('keys: a file that is missing, broken, cut short or newer is refused, and no secret is in the message', (t) => {
  const { disk, random } = setup();
  t.throws(() => loadKeys(disk, 'state'), { message: /keys\.json is missing/ });
  const made = createKeys(disk, 'state', random);
  const secret = Buffer.from(made.current.secret).toString('base64');
  const refusals: [(text: string) => string, RegExp][] = [
    [(text) => text.slice(0, -4), /is no JSON/],
    [(text) => text.replace(secret, secret.slice(8)), /holds no whole key of 32 bytes/],
    [(text) => text.replace('"format":1', '"format":3'), /has format 3, newer than/],
  ];
  for (const [change, message] of refusals) {
    let before = '';
    rewrite(disk, (text) => {
      before = text;
      return change(text);
    });
    const error = t.throws(() => loadKeys(disk, 'state'), { code: 'FAILED_PRECONDITION', message });
    t.false(error?.message.includes(secret.slice(0, 8)));
    rewrite(disk, () => before);
  }
});

test('keys: locked ones open with their lock alone, and are the same as before', (t) => {
  const { disk, random } = setup();
  const made = createKeys(disk, 'state', random);
  const [lock, other] = [random.bytes(32), random.bytes(32)];
  t.false(areLocked(disk, 'state'));
  relockKeys(disk, 'state', { from: undefined, to: lock }, random);
  t.true(areLocked(disk, 'state'));
  disk.crash(random);
  t.deepEqual(textOf(loadKeys(disk, 'state', lock).current), textOf(made.current));
  t.throws(() => loadKeys(disk, 'state'), { message: /is locked: unlock this manager first/ });
  t.throws(() => loadKeys(disk, 'state', other), { message: /is locked for another node, or damaged/ });
  const secret = Buffer.from(made.current.secret).toString('base64');
  disk.edit('state/keys.json', (bytes) => {
    t.false(Buffer.from(bytes).toString().includes(secret));
    return bytes;
  });
  relockKeys(disk, 'state', { from: lock, to: undefined }, random);
  t.deepEqual(textOf(loadKeys(disk, 'state').current), textOf(made.current));
  t.deepEqual(textOf(loadKeys(disk, 'state', other).current), textOf(made.current), 'open keys need no lock');
});
