import test from 'ava';
import fc from 'fast-check';
import { Words } from '#manager/store/tasks/names.ts';
import { Slab } from '#manager/store/tasks/slab.ts';
import { decodeTask, encodeBody } from '#manager/store/tasks/task-body.ts';
import { randomInt, seededRandom } from '#proto/base/random.ts';
import type { Task } from '#proto/types/objects.ts';
import { anyTask } from '../../../../support/arbitraries.ts';

function throughBytes(task: Task, words: Words): Task {
  const head = { ...task, nodeId: task.nodeId, state: task.status.state };
  const { bytes, length } = encodeBody(task, words);
  return decodeTask(head, Buffer.from(bytes.subarray(0, length)), 0, words);
}

test('task body: nothing that a task can say is lost, and what comes back is frozen', (t) => {
  const words = new Words();
  fc.assert(
    fc.property(anyTask, (task) => {
      const read = throughBytes(task, words);
      t.deepEqual(read, task);
      for (const part of [read, read.status, read.status.container, read.status.ports, read.networks])
        t.true(Object.isFrozen(part));
    }),
  );
});

test('task body: words beyond what is remembered are written out', (t) => {
  const words = new Words();
  fc.assert(
    fc.property(anyTask, fc.string({ minLength: 65, maxLength: 3_000 }), (task, message) => {
      const long = { ...task, status: { ...task.status, message } };
      t.deepEqual(throughBytes(long, words), long);
    }),
  );
  t.true(words.since(0).every((word) => word.length <= 64));
});

test('slab: each block holds what was last given to it, of any size', (t) => {
  const slab = new Slab();
  const random = seededRandom(3);
  const there = new Map<number, Buffer>();
  const bytesOf = (): Buffer =>
    Buffer.alloc(randomInt(random, random.next() < 0.1 ? 100_000 : 400), random.next() * 256);
  for (let i = 0; i < 3_000; i++) {
    const [known] = [...there.keys()].slice(randomInt(random, Math.max(1, there.size)));
    const bytes = bytesOf();
    if (known === undefined || random.next() < 0.4) there.set(slab.add(bytes), bytes);
    else if (random.next() < 0.3) {
      slab.remove(known);
      there.delete(known);
    } else {
      there.delete(known);
      there.set(slab.replace(known, bytes), bytes);
    }
  }
  for (const [block, bytes] of there) {
    const start = slab.startOf(block);
    t.is(slab.lengthOf(block), bytes.length);
    t.true(
      slab
        .bytesOf(block)
        .subarray(start, start + bytes.length)
        .equals(bytes),
    );
  }
});
