import { createHash } from 'node:crypto';
import test from 'ava';
import type { Consensus, KeepsFiles } from '#manager/consensus/consensus.ts';
import { addKey } from '#manager/consensus/keys.ts';
import { hasRaftState } from '#manager/consensus/state.ts';
import { verifyState } from '#manager/consensus/verify.ts';
import { seededRandom } from '#proto/base/random.ts';
import { Group } from './support/group.ts';
import type { SimDisk } from './support/sim-disk.ts';

/* Parts of a manager's state that are gone, or another's: it must neither start on the rest nor take itself for a newcomer. */

const random = seededRandom(11);

/** A manager that is down, whose log was emptied for a snapshot. */
async function emptied(): Promise<{ group: Group; disk: SimDisk }> {
  const group = await Group.of(1, { limits: { snapshotEveryEntries: 10 } });
  await group.writeAll('w', 25);
  const { disk } = group.manager('m1');
  const consensus = group.consensus('m1') as Consensus & KeepsFiles;
  await group.resolved(consensus.rotateKey(addKey(disk, 'state', undefined, random)));
  group.kill('m1', true);
  return { group, disk };
}

function removeAll(disk: SimDisk, folder: string, name: RegExp): void {
  for (const found of disk.list(folder)) if (name.test(found)) disk.remove(`${folder}/${found}`);
}

/** All that the disk holds, by what is in it. */
function filesOn(disk: SimDisk): Map<string, string> {
  const paths = ['state', 'state/log', 'state/snapshots'].flatMap((folder) =>
    disk.list(folder).map((name) => `${folder}/${name}`),
  );
  const files = new Map<string, string>();
  for (const path of paths.filter((found) => /\.(json|wal|snapshot)$/.test(found)))
    disk.edit(path, (bytes) => {
      files.set(path, createHash('sha256').update(bytes).digest('hex'));
      return bytes;
    });
  return files;
}

for (const { what, folder, name, says } of [
  {
    what: 'the snapshot',
    folder: 'state/snapshots',
    name: /./,
    says: /goes on behind a snapshot at index \d+, and that snapshot is missing/,
  },
  {
    what: 'the log',
    folder: 'state/log',
    name: /./,
    says: /holds a snapshot, and the log that goes with it is missing/,
  },
  { what: 'the keys', folder: 'state', name: /^keys\.json$/, says: /keys\.json is missing/ },
]) {
  test(`lost files: without ${what} a manager is refused, and nothing is changed`, async (t) => {
    const { group, disk } = await emptied();
    removeAll(disk, folder, name);
    const before = filesOn(disk);
    await t.throwsAsync(
      async () => {
        if (!hasRaftState(disk, 'state')) throw new Error('takes itself for a newcomer');
        await group.restart('m1');
      },
      { code: 'FAILED_PRECONDITION', message: says },
    );
    t.deepEqual(filesOn(disk), before);
    await group.close();
  });
}

test('lost files: verify finds that the snapshot is missing which an empty log goes on behind', async (t) => {
  const { group, disk } = await emptied();
  t.true(verifyState(disk, 'state').every(({ state }) => state === 'whole'));
  removeAll(disk, 'state/snapshots', /./);
  const [finding] = verifyState(disk, 'state');
  t.is(finding?.state, 'damaged');
  t.regex(finding?.detail ?? '', /the snapshot at index \d+ that it goes on behind is missing/);
  await group.close();
});

test('lost files: a snapshot of another manager is refused by its name, and nothing is changed', async (t) => {
  const { group, disk } = await emptied();
  const other = await emptied();
  const name = other.disk.list('state/snapshots').at(-1) ?? '';
  const path = `state/snapshots/${name.replace(/^\d/, '9')}`;
  let bytes: Uint8Array = new Uint8Array();
  other.disk.edit(`state/snapshots/${name}`, (found) => {
    bytes = found;
    return found;
  });
  const file = disk.open(path, 'create');
  file.write(Buffer.from(bytes), 0);
  file.close();
  const before = filesOn(disk);
  await t.throwsAsync(group.restart('m1'), {
    code: 'FAILED_PRECONDITION',
    message: new RegExp(`${path} is not this manager's`),
  });
  t.deepEqual(filesOn(disk), before);
  await group.close();
  await other.group.close();
});

test('lost files: a folder that a manager never finished to make is none', (t) => {
  const group = new Group();
  const { disk } = group.manager('m1');
  t.false(hasRaftState(disk, 'state'));
});
