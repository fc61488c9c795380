import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test, { type ExecutionContext } from 'ava';
import type { ImageStore } from '#agent/core/image/image-store.ts';
import { openStore, scratch, sha256 } from './support.ts';

const CHILD = join(import.meta.dirname, 'crash-child.ts');

/** What the child said was there, when it was killed after so many lines. */
async function killedAfter(
  lines: number,
  root: string,
  run: number,
  known: Map<string, string>,
): Promise<void> {
  const child: ChildProcessWithoutNullStreams = spawn(process.execPath, [CHILD, root, String(run)], {
    stdio: 'pipe',
  });
  const exited = once(child, 'exit');
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  let count = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const [verb, name = '', id = ''] = line.split(' ');
    if (verb === 'added') known.set(name, id);
    else known.delete(name);
    count += 1;
    if (count === lines) child.kill('SIGKILL');
  }
  const [, signal] = (await exited) as [number | null, string | null];
  if (signal !== 'SIGKILL') throw new Error(`the child ended by itself:\n${complaint}`);
}

function checkWhole(t: ExecutionContext, store: ImageStore, known: ReadonlyMap<string, string>): void {
  for (const [name, id] of known) {
    t.is(store.resolve(name), id, name);
    t.is(readFileSync(join(store.layers(id)[0] as string, `d/${name}-7`), 'utf8'), name.repeat(500));
  }
  for (const digest of store.blobs.all()) t.is(sha256(readFileSync(store.blobs.path(digest))), digest);
}

/** Everything on disk that no image needs. */
function strays(store: ImageStore): string[] {
  const images = store.table.images();
  const blobs = new Set(
    images.flatMap(({ manifest, content }) => [
      manifest.digest,
      content.config.digest,
      ...content.layers.map(({ digest }) => digest),
    ]),
  );
  const layers = new Set(images.flatMap(({ id }) => store.layers(id)));
  return [
    ...readdirSync(join(store.root, 'blobs/sha256')).filter((hex) => !blobs.has(`sha256:${hex}`)),
    ...readdirSync(join(store.root, 'l')).filter(
      (name) => !layers.has(join(store.root, 'l', name.replace('.json', ''))),
    ),
    ...readdirSync(join(store.root, 'tmp')),
    ...readdirSync(join(store.root, 'trash')),
  ];
}

test('crash: killed at any moment, the store opens with all it had said, whole, and without leftovers', async (t) => {
  const root = join(scratch(t), 'store');
  const known = new Map<string, string>();
  for (const [run, lines] of [1, 2, 4, 7, 11, 3].entries()) {
    await killedAfter(lines, root, run, known);
    const store = await openStore(t, root);
    checkWhole(t, store, known);
    await store.collect();
    await store[Symbol.asyncDispose]();
    t.deepEqual(strays(store), []);
    checkWhole(t, store, known);
  }
  t.true(known.size > 5);
});
