import test from 'ava';
import { dumpSnapshot, dumpState } from '#manager/consensus/dump.ts';
import { Group } from './support/group.ts';

test('dump: says what a stopped manager has on disk, in the order it was written', async (t) => {
  const group = await Group.of(2, { limits: { snapshotEveryEntries: 10, logEntriesForSlowFollowers: 2 } });
  await group.writeAll('w', 15);
  group.kill('m1');
  const { disk } = group.manager('m1');
  const lines = [...dumpState(disk, 'state')];
  t.deepEqual([...new Set(lines.map((line) => line.kind))].slice(0, 4), [
    'snapshot',
    'segment',
    'identity',
    'hard-state',
  ]);
  const entries = lines.flatMap((line) => (line.kind === 'entry' ? [Buffer.from(line.data).toString()] : []));
  t.true(entries.includes('w14'));
  const change = lines.find((line) => line.kind === 'conf-change');
  t.deepEqual(change?.changes, ['add voter 1']);
  t.is(change?.peer?.nodeId as string, 'node-m1');
  await group.close();
});

test('dump: gives the chunks of a snapshot as the state machine made them', async (t) => {
  const group = await Group.of(1, { limits: { snapshotEveryEntries: 10 } });
  await group.writeAll('w', 15);
  group.kill('m1');
  const { disk } = group.manager('m1');
  const snapshot = [...dumpState(disk, 'state')].find((line) => line.kind === 'snapshot');
  t.deepEqual(snapshot?.membership.confState.voters, [1]);
  const chunks: string[] = [];
  for await (const chunk of dumpSnapshot(disk, 'state', snapshot?.path ?? ''))
    chunks.push(Buffer.from(chunk).toString());
  t.deepEqual(chunks.slice(0, 3), ['w0', 'w1', 'w2']);
  await group.close();
});
