import test from 'ava';
import fc from 'fast-check';
import { Merge, type Timed } from '#manager/logs/merge.ts';
import { settle, VirtualClock } from '#test/support/virtual-clock.ts';

const at = (ns: number, bytes = 1): Timed => ({ atNs: BigInt(ns), data: new Uint8Array(bytes) });

/** A source that gives what it is told to, when it is told to. */
class Told {
  readonly #waiting: (Timed | 'end')[] = [];
  #wake: () => void = () => undefined;
  taken = 0;
  returned = false;

  give(...records: (Timed | 'end')[]): void {
    this.#waiting.push(...records);
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Timed> {
    try {
      for (;;) {
        const next = this.#waiting.shift();
        if (next === 'end') return;
        if (next === undefined) await new Promise<void>((resolve) => (this.#wake = resolve));
        else {
          this.taken++;
          yield next;
        }
      }
    } finally {
      this.returned = true;
    }
  }
}

function setUp(count: number) {
  const clock = new VirtualClock();
  const merge = new Merge<Timed>({ clock });
  const sources = Array.from({ length: count }, () => new Told());
  for (const source of sources) merge.add(source);
  const stop = new AbortController();
  const told: number[] = [];
  const reading = (async () => {
    for await (const { atNs } of merge.records(stop.signal)) told.push(Number(atNs));
  })();
  return { clock, merge, sources, stop, told, reading };
}

test('streams that are there are merged in order of time, whatever they are', async (t) => {
  const runs = fc.array(fc.array(fc.nat({ max: 50 }), { maxLength: 20 }), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(runs, async (streams) => {
      const { merge, sources, told, reading } = setUp(streams.length);
      const sorted = streams.map((stream) => stream.sort((a, b) => a - b));
      for (const [index, stream] of sorted.entries())
        sources[index]?.give(...stream.map((ns) => at(ns)), 'end');
      merge.close();
      await reading;
      t.deepEqual(
        told,
        sorted.flat().sort((a, b) => a - b),
      );
    }),
    { numRuns: 50 },
  );
});

test('the first word of every source is waited for, but not for ever', async (t) => {
  const { clock, sources, told, stop } = setUp(2);
  sources[0]?.give(at(5));
  await clock.advance(900);
  t.deepEqual(told, []);
  await clock.advance(200);
  t.deepEqual(told, [5]);
  stop.abort();
});

test('what comes within a small window is told in order, and who is silent holds nobody up', async (t) => {
  const { clock, sources, told, stop } = setUp(3);
  for (const source of sources) source.give(at(1));
  await clock.advance(1000);
  sources[0]?.give(at(20));
  await clock.advance(50);
  sources[1]?.give(at(10));
  await clock.advance(250);
  t.deepEqual(told, [1, 1, 1, 10, 20]);
  sources[0]?.give(at(30));
  await clock.advance(100);
  t.deepEqual(told, [1, 1, 1, 10, 20, 30]);
  stop.abort();
});

test('a source is read no faster than it is taken', async (t) => {
  const { clock, sources, told, stop } = setUp(2);
  sources[0]?.give(...Array.from({ length: 100 }, (_, ns) => at(ns, 10_000)));
  await clock.advance(10);
  t.true((sources[0]?.taken ?? 0) < 10, 'about 64 KiB, while the other has not spoken');
  t.deepEqual(told, []);
  sources[1]?.give('end');
  await clock.advance(1);
  t.is(told.length, 100);
  stop.abort();
});

test('it ends when it is closed and its sources have ended, not before', async (t) => {
  const { merge, sources, told, reading } = setUp(1);
  merge.close();
  sources[0]?.give(at(1));
  await settle();
  sources[0]?.give(at(2), 'end');
  await reading;
  t.deepEqual(told, [1, 2]);
});

test('a source that comes later joins', async (t) => {
  const { clock, merge, told, stop } = setUp(0);
  await clock.advance(10);
  const late = new Told();
  merge.add(late);
  late.give(at(7), 'end');
  await clock.advance(10);
  t.deepEqual(told, [7]);
  stop.abort();
});

test('when the reader leaves, the sources are left', async (t) => {
  const clock = new VirtualClock();
  const merge = new Merge<Timed>({ clock });
  const source = new Told();
  merge.add(source);
  source.give(at(1), at(2));
  for await (const _ of merge.records(new AbortController().signal)) break;
  source.give(at(3));
  await settle();
  t.true(source.returned);
});

test('a broken source breaks the stream rather than being passed over', async (t) => {
  const merge = new Merge<Timed>({ clock: new VirtualClock() });
  merge.add(
    (async function* (): AsyncGenerator<Timed> {
      yield at(1);
      throw new Error('torn');
    })(),
  );
  const read = async (): Promise<void> => {
    for await (const _ of merge.records(new AbortController().signal));
  };
  await t.throwsAsync(read(), { message: 'torn' });
});
