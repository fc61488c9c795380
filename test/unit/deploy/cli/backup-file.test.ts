import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { readBackupFile, writeBackupFile } from '#deploy/cli/backup-file.ts';
import { seededRandom } from '#proto/base/random.ts';

const random = seededRandom(1);
const CONTENT = Buffer.from('what the cluster knows '.repeat(100_000));

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'shoal-test-backup-'));
  await run(folder).finally(() => rm(folder, { recursive: true }));
}

async function* pieces(): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < CONTENT.length; at += 60_000) yield CONTENT.subarray(at, at + 60_000);
}

async function contentOf(path: string, passphrase?: string): Promise<Buffer> {
  const found: Uint8Array[] = [];
  for await (const piece of readBackupFile(path, passphrase)) found.push(piece);
  return Buffer.concat(found);
}

test('file: gives back what was written, for its owner alone to read', async (t) => {
  await inFolder(async (folder) => {
    const path = join(folder, 'b');
    t.is(await writeBackupFile(path, pieces(), { passphrase: undefined, random }), CONTENT.length);
    t.true((await contentOf(path)).equals(CONTENT));
    t.is((await stat(path)).mode & 0o777, 0o600);
    t.deepEqual(await readdir(folder), ['b']);
  });
});

test('file: with a passphrase nothing of it is readable without', async (t) => {
  await inFolder(async (folder) => {
    const path = join(folder, 'b');
    await writeBackupFile(path, pieces(), { passphrase: 'right', random });
    t.false((await readFile(path)).includes('what the cluster knows'));
    t.true((await contentOf(path, 'right')).equals(CONTENT));
    await t.throwsAsync(contentOf(path), { message: /is encrypted: give --passphrase-file/ });
    await t.throwsAsync(contentOf(path, 'wrong'), { message: /is encrypted with another passphrase/ });
  });
});

test('file: any change and any loss is noticed', async (t) => {
  await inFolder(async (folder) => {
    const path = join(folder, 'b');
    await writeBackupFile(path, pieces(), { passphrase: undefined, random });
    const whole = await readFile(path);
    for (const at of [9, 4_100, 5_000, whole.length - 20]) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ 1;
      await writeFile(path, changed);
      await t.throwsAsync(contentOf(path), { code: 'FAILED_PRECONDITION' }, `byte ${at}`);
    }
    await writeFile(path, whole.subarray(0, -100));
    await t.throwsAsync(contentOf(path), {
      message: /is damaged at byte \d+\. Nothing was changed\. Use another backup/,
    });
    await writeFile(path, 'no backup at all');
    await t.throwsAsync(contentOf(path), { message: /does not start as one\. .*Use another backup/ });
  });
});

test('file: one that is there is not written over, and a backup that fails leaves none', async (t) => {
  await inFolder(async (folder) => {
    const path = join(folder, 'b');
    await writeFile(path, 'kept');
    await t.throwsAsync(writeBackupFile(path, pieces(), { passphrase: undefined, random }), {
      message: /is there already/,
    });
    t.is(await readFile(path, 'utf8'), 'kept');
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      yield CONTENT.subarray(0, 10);
      throw new Error('the connection broke');
    };
    await t.throwsAsync(writeBackupFile(join(folder, 'c'), broken(), { passphrase: undefined, random }));
    t.deepEqual(await readdir(folder), ['b']);
  });
});
