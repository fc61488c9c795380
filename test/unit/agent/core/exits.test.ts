import test from 'ava';
import { Container, type ContainerMemory } from '#agent/core/container.ts';
import { Exits } from '#agent/core/exits.ts';
import { ContainerIo } from '#agent/core/io.ts';
import { type ContainerSpec, NEW_RUN } from '#agent/core/record.ts';

const END = { code: 3, atMs: Date.parse('2026-01-01T00:00:05Z') };

/** A container that runs, and the part of an engine that is told of its end. */
function running(memory: Partial<ContainerMemory>) {
  const told: string[] = [];
  const io = new ContainerIo({ stdinOnce: false });
  const spec = { id: 'a'.repeat(64), name: 'one', config: {}, hostConfig: {} } as unknown as ContainerSpec;
  const run = { ...NEW_RUN, status: 'running', startedAt: '2026-01-01T00:00:00Z' } as const;
  const remembers: ContainerMemory = {
    write: () => undefined,
    committed: async () => undefined,
    commit: () => undefined,
    ...memory,
  };
  const container = new Container({ spec, run }, { io, memory: remembers });
  const note = (what: string) => (): void => void told.push(what);
  const starter = { cgroup: () => ({ oomKills: () => 0 }), clear: async () => note('cleared')() };
  const parts = {
    runtime: { sawOom: () => false },
    events: { emit: note('event') },
    log: { error: note('error') },
  };
  const exits = new Exits(parts as unknown as ConstructorParameters<typeof Exits>[0], {
    starter: starter as unknown as ConstructorParameters<typeof Exits>[1]['starter'],
    onStarted: () => undefined,
    onEnded: () => undefined,
    remove: async () => undefined,
  });
  return { container, exits, told };
}

test('an end that the next daemon would not know of is not cleared away: it is found again', async (t) => {
  const { container, exits, told } = running({
    write: () => {
      throw new Error('no space left');
    },
  });
  await t.throwsAsync(exits.finish(container, END), { message: 'no space left' });
  t.deepEqual(told, []);
  t.true(container.hasProcess);
});

test('an end is told when it is on the disk, and told all the same when the disk fails', async (t) => {
  const disk = Promise.withResolvers<void>();
  const { container, exits, told } = running({ committed: () => disk.promise });
  const ended = container.wait('next-exit');
  const finished = exits.finish(container, END);
  await new Promise((resolve) => setImmediate(resolve));
  t.deepEqual(told, ['cleared']);
  disk.reject(new Error('input/output error'));
  await finished;
  t.deepEqual(told, ['cleared', 'error', 'event']);
  t.is((await ended).exitCode, 3);
});
