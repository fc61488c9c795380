import test from 'ava';
import fc from 'fast-check';
import type { Change } from '#manager/store/changes.ts';
import { hashOf } from '#manager/store/hash.ts';
import { readSnapshot, writeSnapshot } from '#manager/store/snapshot.ts';
import type { Tables } from '#manager/store/tables.ts';
import { randomInt, seededRandom } from '#proto/base/random.ts';
import type { ServiceId, TaskId } from '#proto/types/ids.ts';
import { TaskState } from '#proto/types/states.ts';
import { anyTransactions } from '../../../support/arbitrary-changes.ts';
import { createTask, N1, putNode, putService, S1, Sandbox, specOf, statusOf } from './fixtures.ts';

async function bytesOf(tables: Tables, version: number): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(writeSnapshot(tables, version)));
}

/** The bytes cut into pieces of this length. */
async function* pieces(bytes: Buffer, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

function sandbox(): Sandbox {
  const box = new Sandbox();
  box.apply(putNode(N1), putService(S1, specOf('web')), createTask(S1), { ...createTask(S1, 2), nodeId: N1 });
  return box;
}

test('snapshot: restored, it is the same state, however it is cut', async (t) => {
  const property = fc.asyncProperty(
    anyTransactions,
    fc.integer({ min: 1, max: 5000 }),
    async (all, length) => {
      const box = new Sandbox();
      for (const { expects, changes } of all) box.try(changes as readonly Change[], expects);
      const restored = await readSnapshot(pieces(await bytesOf(box.tables, box.version), length));
      t.is(restored.version, box.version);
      t.is(hashOf(restored.tables), hashOf(box.tables));
      for (const { id, specVersion } of box.tables.services.all()) {
        t.deepEqual(restored.tables.tasks.byService(id), box.tables.tasks.byService(id));
        t.is(restored.tables.tasksOf(id, specVersion), box.tables.tasksOf(id, specVersion));
      }
    },
  );
  await fc.assert(property, { numRuns: 60 });
});

test('snapshot: what is restored can be changed, and goes on as the original would', async (t) => {
  const box = sandbox();
  const { tables } = await readSnapshot(pieces(await bytesOf(box.tables, 1), 10));
  const other = new Sandbox(tables);
  other.version = box.version;
  for (const each of [box, other]) {
    each.apply(createTask(S1, 3), putService('s9' as ServiceId, specOf('db')));
    each.apply({ kind: 'delete', table: 'node', id: N1 });
  }
  t.is(hashOf(other.tables), hashOf(box.tables));
});

test('snapshot: later changes don’t reach one that is being taken', async (t) => {
  const box = new Sandbox();
  box.apply(
    putService(S1, specOf('web')),
    ...Array.from({ length: 24_000 }, (_, slot) => createTask(S1, slot)),
  );
  const before = hashOf(box.tables);
  const chunks = writeSnapshot(box.tables.copy(), 1);
  const first = (await chunks.next()).value as Uint8Array;
  box.apply(createTask(S1), putNode(N1));
  const rest = await Array.fromAsync(chunks);
  t.true(rest.length > 1, 'it is large enough to be interrupted');
  const restored = await readSnapshot(pieces(Buffer.concat([first, ...rest]), 1 << 20));
  t.is(hashOf(restored.tables), before);
});

test('snapshot: tasks that change, come and go between its chunks are in it as they were', async (t) => {
  const box = new Sandbox();
  const count = 24_000;
  box.apply(
    putService(S1, specOf('web')),
    ...Array.from({ length: count }, (_, slot) => createTask(S1, slot)),
  );
  const before = hashOf(box.tables);
  const random = seededRandom(1);
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeSnapshot(box.tables.copy(), 1)) {
    chunks.push(chunk);
    const ids = box.tables.tasks.byService(S1).map(({ id }) => id);
    const some = Array.from({ length: 2_000 }, () => ids[randomInt(random, ids.length)] as TaskId);
    const [gone, changed] = [new Set(some.slice(0, 500)), some.slice(500)];
    const status = statusOf(TaskState.Running, `after chunk ${chunks.length}`);
    box.apply(...changed.map((taskId) => ({ kind: 'setTaskStatus', taskId, status }) as const));
    box.apply(...[...gone].map((id) => ({ kind: 'delete', table: 'task', id }) as const));
    box.apply(...Array.from({ length: 500 }, (_, slot) => createTask(S1, count * chunks.length + slot)));
  }
  t.true(chunks.length >= 3, 'it is large enough to be interrupted');
  const restored = await readSnapshot(pieces(Buffer.concat(chunks), 1 << 20));
  t.is(hashOf(restored.tables), before);
});

test('snapshot: others get their turn while it is written and read', async (t) => {
  const box = new Sandbox();
  box.apply(
    putService(S1, specOf('web')),
    ...Array.from({ length: 24_000 }, (_, slot) => createTask(S1, slot)),
  );
  let turns = 0;
  let running = true;
  const tick = (): void => {
    turns++;
    if (running) setImmediate(tick);
  };
  setImmediate(tick);
  const bytes = await bytesOf(box.tables, 1);
  const afterWriting = turns;
  await readSnapshot(pieces(bytes, bytes.length));
  running = false;
  t.true(afterWriting >= 2, 'while writing');
  t.true(turns - afterWriting >= 2, 'while reading');
});

test('snapshot: one that was cut off, or bent, is refused', async (t) => {
  const bytes = await bytesOf(sandbox().tables, 1);
  const refused = async (bent: Buffer, message: RegExp): Promise<void> => {
    await t.throwsAsync(readSnapshot(pieces(bent, 100)), { code: 'INTERNAL', message });
  };
  const trailer = bytes.length - 8;
  await refused(bytes.subarray(0, bytes.length - 1), /ends in the middle of a record/);
  await refused(bytes.subarray(0, trailer), /has no end/);
  await refused(Buffer.alloc(0), /has no end/);
  await refused(Buffer.concat([bytes, bytes]), /goes on after its end/);
  const second = 4 + bytes.readUInt32BE(0);
  await refused(bytes.subarray(second), /has no header/);
  const third = second + 4 + bytes.readUInt32BE(second);
  const withoutRow = Buffer.concat([bytes.subarray(0, second), bytes.subarray(third)]);
  await refused(withoutRow, /should have 5 rows, and has 4/);
  await refused(Buffer.from('ffffffff', 'hex'), /a record of 4294967295 bytes/);
});
