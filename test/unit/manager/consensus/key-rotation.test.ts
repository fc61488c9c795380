import test from 'ava';
import type { Consensus, KeepsFiles } from '#manager/consensus/consensus.ts';
import { addKey, dropOldKeys, loadKeys, unfinishedRotation } from '#manager/consensus/keys.ts';
import { verifyState } from '#manager/consensus/verify.ts';
import { seededRandom } from '#proto/base/random.ts';
import { Group } from './support/group.ts';
import type { SimDisk } from './support/sim-disk.ts';

const random = seededRandom(3);

function rotating(group: Group, name: string): Consensus & KeepsFiles {
  return group.consensus(name) as Consensus & KeepsFiles;
}

/** Where a file's header says which key it is encrypted with. */
const KEY_ID_AT = 12;

function keyIdsOn(disk: SimDisk): number[] {
  const paths = ['log', 'snapshots'].flatMap((folder) => {
    const names = disk.list(`state/${folder}`).filter((name) => /\.(wal|snapshot)$/.test(name));
    return names.map((name) => `state/${folder}/${name}`);
  });
  const ids = paths.map((path) => {
    let id = 0;
    disk.edit(path, (bytes) => {
      id = Buffer.from(bytes).readUInt32LE(KEY_ID_AT);
      return bytes;
    });
    return id;
  });
  return [...new Set(ids)];
}

async function rotate(group: Group, name: string): Promise<void> {
  const { disk } = group.manager(name);
  const key = addKey(disk, 'state', undefined, random);
  await group.resolved(rotating(group, name).rotateKey(key));
  dropOldKeys(disk, 'state', undefined, random);
}

test('rotation: afterwards nothing is encrypted with the old key, and a restart finds everything', async (t) => {
  const group = await Group.of(1, { limits: { snapshotEveryEntries: 10 } });
  const before = await group.writeAll('a', 34);
  await rotate(group, 'm1');
  const { disk } = group.manager('m1');
  t.deepEqual(keyIdsOn(disk), [2]);
  t.is(loadKeys(disk, 'state').current.id, 2);
  t.throws(() => loadKeys(disk, 'state').find(1));
  const after = await group.writeAll('b', 5);
  group.kill('m1', true);
  t.true(verifyState(disk, 'state').every(({ state }) => state === 'whole'));
  await group.restart('m1');
  await group.awaitLeader();
  await group.resolved(group.consensus('m1').readBarrier());
  t.deepEqual(group.manager('m1').journal.lines, [...before, ...after]);
  await rotate(group, 'm1');
  t.deepEqual(keyIdsOn(disk), [3]);
  await group.close();
});

test('rotation: with nothing to say, and with no snapshot yet, it comes to its end as well', async (t) => {
  const group = await Group.of(1);
  await group.writeAll('a', 3);
  await rotate(group, 'm1');
  await rotate(group, 'm1');
  t.deepEqual(keyIdsOn(group.manager('m1').disk), [3]);
  await group.close();
});

test('rotation: changes go on meanwhile, on a leader and on a follower', async (t) => {
  const group = await Group.of(3, { limits: { snapshotEveryEntries: 10, logEntriesForSlowFollowers: 2 } });
  const texts = await group.writeAll('a', 25);
  for (const name of ['m1', 'm2']) {
    const { disk } = group.manager(name);
    const done = rotating(group, name).rotateKey(addKey(disk, 'state', undefined, random));
    texts.push(...(await group.writeAll(name, 30)));
    await group.resolved(done);
    t.deepEqual(keyIdsOn(disk), [2]);
  }
  t.deepEqual(keyIdsOn(group.manager('m3').disk), [1], 'each manager has a key of its own');
  await group.resolved(group.consensus('m1').readBarrier());
  t.deepEqual(group.manager('m1').journal.lines, texts);
  await group.close();
});

test('rotation: one that a power failure cut short, wherever, is gone on with after the restart', async (t) => {
  for (let seed = 1; seed <= 12; seed += 1) {
    const group = await Group.of(1, { seed, limits: { snapshotEveryEntries: 10 } });
    const texts = await group.writeAll('a', 24);
    const { disk } = group.manager('m1');
    const key = addKey(disk, 'state', undefined, random);
    const cut = rotating(group, 'm1').rotateKey(key);
    cut.catch(() => undefined);
    await group.clock.advance(seed * 25);
    group.kill('m1', true);
    const unfinished = unfinishedRotation(disk, 'state', undefined);
    t.is(unfinished?.id, 2);
    await group.restart('m1');
    await group.awaitLeader();
    await group.resolved(rotating(group, 'm1').rotateKey(unfinished ?? key));
    dropOldKeys(disk, 'state', undefined, random);
    t.is(unfinishedRotation(disk, 'state', undefined), undefined);
    t.deepEqual(keyIdsOn(disk), [2]);
    group.kill('m1', true);
    await group.restart('m1');
    await group.awaitLeader();
    await group.resolved(group.consensus('m1').readBarrier());
    t.deepEqual(group.manager('m1').journal.lines, texts, `seed ${seed}`);
    await group.close();
  }
});

test('rotation: it waits for what is not agreed yet, and ends when the manager does', async (t) => {
  const group = await Group.of(3);
  await group.writeAll('a', 5);
  const { name, disk } = await group.awaitLeader();
  for (const other of ['m1', 'm2', 'm3'].filter((one) => one !== name)) group.kill(other);
  const lost = group.consensus(name).propose(Buffer.from('never agreed'));
  lost.catch(() => undefined);
  await group.clock.advance(50);
  const rotation = rotating(group, name).rotateKey(addKey(disk, 'state', undefined, random));
  let over = false;
  rotation
    .catch(() => undefined)
    .finally(() => {
      over = true;
    });
  await group.clock.advance(5_000);
  t.false(over);
  t.true(keyIdsOn(disk).includes(1));
  await group.stop(name);
  await t.throwsAsync(rotation);
  await group.close();
});

test('rotation: without room it is refused, nothing is lost, and asked again with room it is done', async (t) => {
  const group = await Group.of(1, { limits: { snapshotEveryEntries: 10 } });
  const texts = await group.writeAll('a', 14);
  const { disk } = group.manager('m1');
  const key = addKey(disk, 'state', undefined, random);
  disk.roomBytes = 0;
  await t.throwsAsync(group.resolved(rotating(group, 'm1').rotateKey(key)));
  t.is(unfinishedRotation(disk, 'state', undefined)?.id, 2);
  disk.roomBytes = Number.POSITIVE_INFINITY;
  texts.push(...(await group.writeAll('b', 3)));
  await group.resolved(rotating(group, 'm1').rotateKey(key));
  dropOldKeys(disk, 'state', undefined, random);
  group.kill('m1', true);
  await group.restart('m1');
  await group.awaitLeader();
  await group.resolved(group.consensus('m1').readBarrier());
  t.deepEqual(group.manager('m1').journal.lines, texts);
  await group.close();
});
