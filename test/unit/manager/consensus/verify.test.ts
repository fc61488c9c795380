import test from 'ava';
import type { Finding } from '#manager/consensus/finding.ts';
import { BLOCK_BYTES } from '#manager/consensus/sealed.ts';
import { verifyState } from '#manager/consensus/verify.ts';
import { verifyLog } from '#manager/consensus/verify-log.ts';
import { Group } from './support/group.ts';
import { DIRECTORY, entries, entry, WalHarness } from './support/wal.ts';

function findingsOf(log: WalHarness, snapshotIndex = 0): Finding[] {
  return verifyLog(DIRECTORY, snapshotIndex, log);
}

function statesOf(findings: readonly Finding[]): string[] {
  return findings.map(({ state }) => state);
}

/** Flips one bit of the log's newest segment. */
function flip(log: WalHarness, at: number): void {
  log.disk.edit(log.segments().at(-1) ?? '', (bytes) => {
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return bytes;
  });
}

/** Entries 1 to 4, each in a block of its own behind the header. */
function fourWrites(): WalHarness {
  const log = new WalHarness();
  for (let index = 1; index <= 4; index += 1) log.append([entry(index)]);
  return log;
}

test('verify: what a running manager left is whole, snapshots and log', async (t) => {
  const group = await Group.of(2, { limits: { snapshotEveryEntries: 10, logEntriesForSlowFollowers: 2 } });
  await group.writeAll('w', 25);
  group.kill('m1');
  const findings = verifyState(group.manager('m1').disk, 'state');
  t.deepEqual([...new Set(statesOf(findings))], ['whole']);
  t.regex(findings[0]?.detail ?? '', /^index \d+, term \d+, \d+ bytes$/);
  await group.close();
});

test('verify: a snapshot with a flipped bit is damaged, and named', async (t) => {
  const group = await Group.of(1, { limits: { snapshotEveryEntries: 10 } });
  await group.writeAll('w', 15);
  group.kill('m1');
  const { disk } = group.manager('m1');
  const name = disk.list('state/snapshots').at(-1) ?? '';
  disk.edit(`state/snapshots/${name}`, (bytes) => {
    bytes[bytes.length - 60] = (bytes[bytes.length - 60] ?? 0) ^ 1;
    return bytes;
  });
  const finding = verifyState(disk, 'state').find(({ path }) => path.endsWith(name));
  t.is(finding?.state, 'damaged');
  t.regex(finding?.detail ?? '', /is damaged at byte \d+$/);
  await group.close();
});

test('verify: any bit that flips within what was written is found, and where', (t) => {
  for (let block = 1; block <= 4; block += 1) {
    const log = fourWrites();
    flip(log, block * BLOCK_BYTES + 60);
    const [finding] = findingsOf(log);
    t.is(finding?.state, block === 4 ? 'torn' : 'damaged', `block ${block}`);
    t.regex(finding?.detail ?? '', new RegExp(`byte ${block * BLOCK_BYTES}`));
  }
});

test('verify: behind damage it goes on, and says which entries are lost', (t) => {
  const log = fourWrites();
  flip(log, 2 * BLOCK_BYTES + 60);
  const details = findingsOf(log).map(({ detail }) => detail);
  t.regex(details.join('\n'), /bytes 8192 to 12288 are lost or changed/);
  t.regex(details.join('\n'), /entries 2 to 2 are missing/);
});

test('verify: a header that is damaged does not hide the segments behind it', (t) => {
  const log = new WalHarness({ segmentBytes: 16 * 1024 });
  for (let index = 1; index <= 12; index += 1) log.append([entry(index)]);
  t.true(log.segments().length > 2);
  log.disk.edit(log.segments()[1] ?? '', (bytes) => {
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    return bytes;
  });
  const findings = findingsOf(log);
  t.deepEqual(statesOf(findings).slice(0, 2), ['whole', 'damaged']);
  t.regex(findings[1]?.detail ?? '', /the header of .* is damaged$/);
  t.regex(findings.map(({ detail }) => detail).join('\n'), /entries \d+ to \d+ are missing/);
});

test('verify: a log that goes on behind a snapshot wants that snapshot', (t) => {
  const log = new WalHarness();
  log.append(entries(1, 5));
  log.wal.append({ entries: entries(101, 102, 3), restart: { index: 100, term: 3 } });
  t.deepEqual(statesOf(findingsOf(log, 100)), ['whole']);
  t.regex(findingsOf(log, 0)[0]?.detail ?? '', /the snapshot at index 100 that it goes on behind is missing/);
});
