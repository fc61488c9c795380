import test from 'ava';
import type { Consensus, KeepsFiles } from '#manager/consensus/consensus.ts';
import { snapshotDirectory } from '#manager/consensus/state.ts';
import { allHave, Group } from './support/group.ts';

const NAMES = ['m1', 'm2', 'm3'];

test('the log behind it goes, a restart starts from it, and nothing is missing', async (t) => {
  const group = await Group.of(1, { limits: { snapshotEveryEntries: 20, logEntriesForSlowFollowers: 5 } });
  const written = await group.writeAll('w', 70);
  const { snapshotIndex } = await group.resolved(group.consensus('m1').status());
  t.true(snapshotIndex >= 60);
  group.kill('m1', true);
  await group.restart('m1');
  await group.until(() => group.leader() !== undefined, 'm1 leads');
  const { journal } = group.manager('m1');
  t.is(journal.restores, 1);
  t.deepEqual(journal.lines, written);
  await group.close();
});

test('a busy log takes none right after another, however many entries there are', async (t) => {
  const limits = { snapshotEveryEntries: 20, snapshotPauseMs: 60_000 };
  const group = await Group.of(1, { limits });
  const indexNow = async () => {
    await group.clock.advance(1_000);
    return (await group.resolved(group.consensus('m1').status())).snapshotIndex;
  };
  await group.writeAll('w', 30);
  const first = await indexNow();
  t.true(first >= 20);
  await group.writeAll('x', 60);
  t.is(await indexNow(), first);
  await group.clock.advance(limits.snapshotPauseMs);
  await group.writeAll('y', 1);
  t.true((await indexNow()) >= first + 60);
  await group.close();
});

test('how often one is taken, and how many files are kept, can change while it runs', async (t) => {
  const group = await Group.of(1, { limits: { snapshotEveryEntries: 1_000_000 } });
  const consensus = group.consensus('m1') as Consensus & KeepsFiles;
  await group.writeAll('w', 30);
  await group.clock.advance(1_000);
  t.is((await group.resolved(consensus.status())).snapshotIndex, 0);
  consensus.setSnapshotPolicy({ everyEntries: 10, entriesForSlowFollowers: 5, filesKept: 3 });
  for (const letter of ['a', 'b', 'c', 'd', 'e']) {
    await group.writeAll(letter, 10);
    await group.clock.advance(1_000);
  }
  t.true((await group.resolved(consensus.status())).snapshotIndex >= 70);
  const files = group.manager('m1').disk.list(snapshotDirectory('state'));
  t.is(files.length, 3);
  await group.close();
});

test('a manager that fell behind the log is sent one and catches up', async (t) => {
  const group = await Group.of(3, { limits: { snapshotEveryEntries: 20, logEntriesForSlowFollowers: 5 } });
  const slow = NAMES.find((name) => name !== group.leader()?.name) as string;
  const before = await group.writeAll('b', 5);
  group.kill(slow, true);
  const during = await group.writeAll('d', 60);
  await group.restart(slow);
  const after = await group.writeAll('a', 30);
  await t.notThrowsAsync(allHave(group, [...before, ...during, ...after]));
  t.true(group.network.snapshotsSent >= 1);
  group.kill(slow, true);
  await group.restart(slow);
  await t.notThrowsAsync(allHave(group, [...before, ...during, ...after]));
  t.is(group.consensus(slow).members().length, 3);
  await group.close();
});

test('one whose transfer breaks off is taken up where it stopped', async (t) => {
  const group = await Group.of(2, { limits: { snapshotEveryEntries: 10, logEntriesForSlowFollowers: 1 } });
  const large = 'x'.repeat(300_000);
  for (let count = 0; count < 12; count += 1) await group.write(`${count}${large}`);
  group.network.snapshotPiecesMax = 3;
  await group.join('m3');
  const pieces = Math.ceil((12 * 300_000) / (256 * 1024));
  t.true(group.network.snapshotPieces <= pieces + 1, 'no piece was sent twice');
  await group.until(() => group.manager('m3').journal.lines.length === 12, 'm3 has all');
  await group.close();
});
