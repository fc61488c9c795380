import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { NodeIdentity } from '#agent/session/identity.ts';
import { newPrivateKey } from '#agent/session/keys.ts';
import type { ShoalError } from '#proto/base/errors.ts';
import { type TestCa, testCa } from '../../../support/certificates.ts';

let ca: TestCa;
test.before(async () => {
  ca = await testCa();
});

async function inDirectory(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'shoal-test-identity-'));
  await run(dir).finally(() => rm(dir, { recursive: true }));
}

test('a node without one is not part of a swarm', async (t) => {
  await inDirectory(async (dir) => {
    const identity = await NodeIdentity.open(join(dir, 'new'));
    t.false(identity.joined);
    const error = t.throws<ShoalError>(() => identity.current());
    t.is(error?.message, 'This node is not part of a swarm');
  });
});

test('what is adopted is on disk, for root alone, and told to everybody; the next daemon finds it', async (t) => {
  await inDirectory(async (dir) => {
    const identity = await NodeIdentity.open(dir);
    const told: string[] = [];
    identity.onChange(({ certificate }) => told.push(certificate));
    const node = await ca.node('worker');
    await identity.adopt(node.identity.current());
    t.deepEqual(told, [node.identity.current().certificate]);
    t.deepEqual(identity.peer(), { nodeId: node.nodeId, role: 'worker', clusterId: ca.clusterId });
    const path = join(dir, 'identity.json');
    t.is((await stat(path)).mode & 0o777, 0o600);
    const again = await NodeIdentity.open(dir);
    t.deepEqual(again.current(), node.identity.current());
  });
});

test('a write that a crash cut short leaves the old identity, and does not hinder the next', async (t) => {
  await inDirectory(async (dir) => {
    const [first, second] = [await ca.node('worker'), await ca.node('manager')];
    await (await NodeIdentity.open(dir)).adopt(first.identity.current());
    await writeFile(join(dir, 'identity.json.new'), '{"certificate":"-----BEG');
    const identity = await NodeIdentity.open(dir);
    t.deepEqual(identity.current(), first.identity.current());
    await identity.adopt(second.identity.current());
    t.deepEqual((await NodeIdentity.open(dir)).current(), second.identity.current());
  });
});

test('a foreign key, a certificate no root vouches for, and garbage are refused, and change nothing', async (t) => {
  await inDirectory(async (dir) => {
    const identity = await NodeIdentity.open(dir);
    const good = (await ca.node('worker')).identity.current();
    await identity.adopt(good);
    const before = await readFile(join(dir, 'identity.json'));
    const bad = [
      { ...good, key: newPrivateKey() },
      { ...good, roots: (await testCa()).root.certificate },
      { ...good, roots: '' },
      { ...good, certificate: 'x' },
      { ...good, certificate: ca.root.certificate, key: ca.root.key ?? '' },
    ];
    for (const wrong of bad) {
      const error = await t.throwsAsync<ShoalError>(identity.adopt(wrong));
      t.is(error?.code, 'INVALID_ARGUMENT');
    }
    t.deepEqual(identity.current(), good);
    t.deepEqual(await readFile(join(dir, 'identity.json')), before);
  });
});

test('roots are replaced alone, as long as one still vouches for the certificate', async (t) => {
  await inDirectory(async (dir) => {
    const identity = await NodeIdentity.open(dir);
    await identity.adopt((await ca.node('worker')).identity.current());
    const other = (await testCa()).root.certificate;
    const both = `${ca.root.certificate}${other}`;
    await identity.trust(both);
    t.is((await NodeIdentity.open(dir)).current().roots, both);
    await t.throwsAsync(identity.trust(other));
    t.is(identity.current().roots, both);
  });
});

test('a node that leaves keeps nothing', async (t) => {
  await inDirectory(async (dir) => {
    const identity = await NodeIdentity.open(dir);
    await identity.adopt((await ca.node('worker')).identity.current());
    await identity.forget();
    t.false(identity.joined);
    t.deepEqual(await readdir(dir), []);
    t.false((await NodeIdentity.open(dir)).joined);
  });
});

const LOCK = { secret: new Uint8Array(32).fill(1), inner: new Uint8Array(32).fill(2) };

test('locked: the next daemon knows who the node is, and needs the secret for the rest', async (t) => {
  await inDirectory(async (dir) => {
    const node = await ca.node('manager');
    const identity = await NodeIdentity.open(dir);
    await identity.adopt(node.identity.current());
    await identity.lockWith(LOCK);
    t.false((await readFile(join(dir, 'identity.json'), 'utf8')).includes('PRIVATE KEY'));
    t.deepEqual(identity.current(), node.identity.current(), 'who has it open goes on');

    const again = await NodeIdentity.open(dir);
    t.true(again.joined && again.isLocked);
    t.is(again.peer().nodeId, node.nodeId);
    t.throws(() => again.current(), { message: /is locked/ });
    await t.throwsAsync(again.unlock(LOCK.inner), { code: 'UNAUTHENTICATED' });
    t.true(again.isLocked);
    await again.unlock(LOCK.secret);
    t.false(again.isLocked);
    t.deepEqual(again.current(), node.identity.current());
    t.deepEqual(again.lock, LOCK);
  });
});

test('locked: what is adopted later is locked too, with a new secret from then on, and open once that is over', async (t) => {
  await inDirectory(async (dir) => {
    const [first, renewed] = [await ca.node('manager'), await ca.node('manager')];
    const identity = await NodeIdentity.open(dir);
    await identity.adopt(first.identity.current());
    await identity.lockWith(LOCK);
    await identity.adopt(renewed.identity.current());
    const secret = new Uint8Array(32).fill(3);
    await identity.lockWith({ ...LOCK, secret, before: LOCK.secret });
    const again = await NodeIdentity.open(dir);
    await t.throwsAsync(again.unlock(LOCK.secret), { code: 'UNAUTHENTICATED' });
    await again.unlock(secret);
    t.deepEqual(again.current(), renewed.identity.current());
    t.deepEqual(again.lock, { secret, inner: LOCK.inner, before: LOCK.secret });
    await again.lockWith(undefined);
    t.deepEqual((await NodeIdentity.open(dir)).current(), renewed.identity.current());
  });
});
