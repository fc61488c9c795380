import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { isInUse, lockDataRoot } from '#deploy/node/data-root-lock.ts';

const LOCK = join(import.meta.dirname, '..', '..', '..', '..', 'deploy', 'node', 'data-root-lock.ts');

/** A process of its own that holds the lock until it is killed. */
const HOLDER = `
  const { lockDataRoot } = await import(process.argv[1]);
  globalThis.lock = lockDataRoot(process.argv[2]);
  console.log('locked');
  setInterval(() => undefined, 1_000);
`;

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'shoal-test-lock-'));
  await run(folder).finally(() => rm(folder, { recursive: true }));
}

test('lock: a second daemon on one data root is refused, and told which process has it', async (t) => {
  await inFolder(async (folder) => {
    const holder = spawn(process.execPath, ['--input-type=module', '-e', HOLDER, LOCK, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(holder.stdout, 'data');
      t.true(isInUse(folder));
      const message = new RegExp(
        `data root ${folder} is in use by another shoald \\(process ${holder.pid}\\)`,
      );
      t.throws(() => lockDataRoot(folder), { code: 'CONFLICT', message });
    } finally {
      holder.kill('SIGKILL');
      await once(holder, 'close');
    }
    t.false(isInUse(folder), 'a process that was killed holds nothing');
    lockDataRoot(folder)[Symbol.dispose]();
  });
});

test('lock: given back, it can be taken again; a folder nobody ever used is in use by nobody', async (t) => {
  await inFolder(async (folder) => {
    t.false(isInUse(join(folder, 'never')));
    const first = lockDataRoot(join(folder, 'root'));
    t.throws(() => lockDataRoot(join(folder, 'root')), { code: 'CONFLICT' });
    first[Symbol.dispose]();
    using _second = lockDataRoot(join(folder, 'root'));
    t.true(isInUse(join(folder, 'root')));
  });
});
