import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { readJson, writeJson } from '#agent/session/files.ts';

async function withPath(use: (path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'shoal-test-files-'));
  try {
    await use(join(folder, 'file.json'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('what is written is read again, whatever it is; no file is nothing', async (t) => {
  await withPath(async (path) => {
    t.is(await readJson(path), undefined);
    for (const content of [{ a: [1, 'b'] }, [], [{ addr: 'x' }], { format: 7 }, 'text']) {
      await writeJson(path, content);
      t.deepEqual(await readJson(path), content);
    }
  });
});

test('a file of the first form, without a format, is read', async (t) => {
  await withPath(async (path) => {
    await writeFile(path, '[{"addr":"10.0.0.1:2377"}]');
    t.deepEqual(await readJson(path), [{ addr: '10.0.0.1:2377' }]);
  });
});

test('a file of a newer version, and one that is half there, are refused by name', async (t) => {
  await withPath(async (path) => {
    await writeFile(path, '{"format":2,"content":{}}');
    await t.throwsAsync(readJson(path), {
      message: /file\.json can't be read: it has format 2.*run the version/,
    });
    await writeFile(path, '{"for');
    await t.throwsAsync(readJson(path), { message: /file\.json can't be read/ });
  });
});
