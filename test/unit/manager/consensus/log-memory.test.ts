import test from 'ava';
import type { Consensus, KeepsFiles } from '#manager/consensus/consensus.ts';
import { addKey, dropOldKeys } from '#manager/consensus/keys.ts';
import { Group } from './support/group.ts';

/* Groups whose logs hardly have room in memory. */

const NAMES = ['m1', 'm2', 'm3'];
const LIMITS = { snapshotEveryEntries: 1_000_000, logMemoryBytes: 1_000 };

/** A group of three of which one is away while much is written. */
async function withLaggard(): Promise<{ group: Group; slow: string; written: string[] }> {
  const group = await Group.of(3, { limits: LIMITS });
  const slow = NAMES.find((name) => name !== group.leader()?.name) as string;
  const written = await group.writeAll('before', 5);
  group.network.cutOff(`node-${slow}`);
  written.push(...(await group.writeAll('away', 150)));
  return { group, slow, written };
}

test('log in memory: a manager that was away gets what it missed from the disk of the leader', async (t) => {
  const { group, slow, written } = await withLaggard();
  const { snapshotsSent } = group.network;
  group.network.heal(`node-${slow}`);
  const { journal } = group.manager(slow);
  written.push(...(await group.writeAll('back', 5)));
  await group.until(() => journal.lines.length >= written.length, `${slow} has all`);
  t.deepEqual(journal.lines, written);
  t.is(group.network.snapshotsSent, snapshotsSent);
  await group.close();
});

test('log in memory: a leader whose log is damaged on disk stops when it reads it again, and the others go on', async (t) => {
  const { group, slow, written } = await withLaggard();
  const leader = await group.awaitLeader();
  const { name, disk } = leader;
  const [path] = disk.list('state/log').filter((file) => file.endsWith('.wal'));
  disk.edit(`state/log/${path}`, (bytes) => bytes.fill(0, 32 * 1024, 40 * 1024));
  group.network.heal(`node-${slow}`);
  await group.until(() => leader.failure !== undefined, `${name} stops`);
  t.regex(String(leader.failure), /Raft log segment .* is damaged at byte .*docker node demote/);
  group.kill(name);
  leader.failure = undefined;
  await group.write('after');
  const { journal } = group.manager(slow);
  await group.until(() => journal.lines.includes('after'), `${slow} has all`);
  t.deepEqual(journal.lines, [...written, 'after']);
  await group.close();
});

test('log in memory: what is not applied yet when a manager starts is read from disk, too', async (t) => {
  const group = await Group.of(1, { limits: LIMITS });
  const written = await group.writeAll('w', 100);
  group.kill('m1', true);
  await group.restart('m1');
  await group.resolved(group.consensus('m1').readBarrier());
  t.deepEqual(group.manager('m1').journal.lines, written);
  await group.close();
});

test('log in memory: what was kept on disk for slow managers goes with the key it was encrypted with', async (t) => {
  const limits = { logMemoryBytes: 1_000, snapshotEveryEntries: 20, logEntriesForSlowFollowers: 100 };
  const group = await Group.of(3, { limits });
  const slow = NAMES.find((name) => name !== group.leader()?.name) as string;
  const written = await group.writeAll('before', 50);
  group.network.cutOff(`node-${slow}`);
  written.push(...(await group.writeAll('away', 50)));
  const { name, disk } = await group.awaitLeader();
  const key = addKey(disk, 'state', undefined, group.random);
  await group.resolved((group.consensus(name) as Consensus & KeepsFiles).rotateKey(key));
  dropOldKeys(disk, 'state', undefined, group.random);
  group.network.heal(`node-${slow}`);
  written.push(...(await group.writeAll('back', 5)));
  const { journal } = group.manager(slow);
  await group.until(() => journal.lines.length >= written.length, `${slow} has all`);
  t.deepEqual(journal.lines, written);
  t.is(group.consensus(name).leadership().leading, true);
  await group.close();
});
