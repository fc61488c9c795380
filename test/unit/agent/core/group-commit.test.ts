import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { GroupCommit } from '#agent/core/group-commit.ts';

let folder: string;

test.beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-test-group-commit-'));
  writeFileSync(join(folder, 'file'), 'old');
});

test.afterEach.always(() => rmSync(folder, { recursive: true }));

/** A disk whose syncs end, or fail, when they are told to. */
class SlowDisk {
  readonly #syncs: PromiseWithResolvers<void>[] = [];

  readonly sync = (): Promise<void> => {
    const sync = Promise.withResolvers<void>();
    this.#syncs.push(sync);
    return sync.promise;
  };

  get begun(): number {
    return this.#syncs.length;
  }

  end(at: number): void {
    this.#syncs[at]?.resolve();
  }

  fail(at: number): void {
    this.#syncs[at]?.reject(new Error('no space left'));
  }
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test.serial(
  'those who write while the disk is busy share the next sync, and none has the one before',
  async (t) => {
    const disk = new SlowDisk();
    using commits = new GroupCommit({ file: join(folder, 'file') }, disk);
    const order: string[] = [];
    commits.wrote();
    const first = commits.committed().then(() => order.push('first'));
    await turn();
    for (const name of ['second', 'third']) {
      commits.wrote();
      void commits.committed().then(() => order.push(name));
    }
    disk.end(0);
    await first;
    await turn();
    t.deepEqual(order, ['first']);
    t.is(disk.begun, 2);
    disk.end(1);
    await turn();
    t.deepEqual(order, ['first', 'second', 'third']);
  },
);

test.serial('who waits for what is on the disk already does not keep it busy', async (t) => {
  const disk = new SlowDisk();
  using commits = new GroupCommit({ file: join(folder, 'file') }, disk);
  const first = commits.committed();
  await turn();
  disk.end(0);
  await first;
  await commits.committed();
  t.is(disk.begun, 1);
});

test.serial(
  'a sync that fails is told to who waited for it, and is tried anew for who comes then',
  async (t) => {
    const disk = new SlowDisk();
    using commits = new GroupCommit({ file: join(folder, 'file') }, disk);
    const first = commits.committed();
    await turn();
    disk.fail(0);
    await t.throwsAsync(first, { message: 'no space left' });
    const second = commits.committed();
    await turn();
    disk.end(1);
    await t.notThrowsAsync(second);
  },
);
