import test from 'ava';
import { pack, unpack } from '#manager/consensus/packed.ts';
import type { TermRun, ToHost } from '#manager/consensus/protocol.ts';
import { paced } from '#manager/consensus/turns.ts';

const NOTHING = { committed: [], lost: [], unknown: [] };

/** What was handed over in each turn of a loop that turns when it is told to. */
class Loop {
  readonly turns: ToHost[][] = [[]];
  readonly hear: (message: ToHost) => void;
  #next: (() => void)[] = [];

  constructor() {
    this.hear = paced(
      (message) => void (this.turns.at(-1) as ToHost[]).push(message),
      (then) => this.#next.push(then),
    );
  }

  /** Turns until nobody asks for another turn. */
  run(): void {
    while (this.#next.length > 0) {
      const due = this.#next;
      this.#next = [];
      this.turns.push([]);
      for (const then of due) then();
    }
  }
}

function committed(firstIndex: number, sizes: readonly number[], terms?: readonly TermRun[]): ToHost {
  const data = pack(sizes.map((size, at) => new Uint8Array(size).fill(at)));
  return {
    kind: 'committed',
    firstIndex,
    terms: terms ?? [{ term: 1, count: sizes.length }],
    data,
    outcomes: { ...NOTHING, lost: [7] },
    asks: true,
  };
}

/** Index, term and first byte of each entry. */
function entriesOf(messages: readonly ToHost[]): (readonly [number, number, number | undefined])[] {
  return messages.flatMap((message) => {
    if (message.kind !== 'committed') return [];
    const terms = message.terms.flatMap(({ term, count }) => Array<number>(count).fill(term));
    return unpack(message.data).map((entry, at) => {
      return [message.firstIndex + at, terms[at] as number, entry[0]] as const;
    });
  });
}

test('turns: entries that take long are applied one turn after the other, none is lost and each keeps its term', (t) => {
  const loop = new Loop();
  const terms = [
    { term: 3, count: 1 },
    { term: 4, count: 3 },
  ];
  loop.hear(committed(10, [60_000, 60_000, 60_000, 60_000], terms));
  loop.run();
  t.deepEqual(
    loop.turns.filter((turn) => turn.length > 0).map((turn) => entriesOf(turn)),
    [[[10, 3, 0]], [[11, 4, 1]], [[12, 4, 2]], [[13, 4, 3]]],
  );
});

test('turns: entries that take little are applied together, and as the message that brought them', (t) => {
  const loop = new Loop();
  const message = committed(1, [100, 100, 100]);
  loop.hear(message);
  t.is(loop.turns[0]?.[0], message);
});

test('turns: one entry is never waited with, however large it is', (t) => {
  const loop = new Loop();
  loop.hear(committed(1, [1_000_000, 10]));
  t.deepEqual(entriesOf(loop.turns[0] as ToHost[]), [[1, 1, 0]]);
});

test('turns: no more than 256 entries are applied in one turn', (t) => {
  const loop = new Loop();
  loop.hear(committed(1, Array<number>(600).fill(1)));
  loop.run();
  t.deepEqual(
    loop.turns.map((turn) => entriesOf(turn).length).filter((count) => count > 0),
    [256, 256, 88],
  );
});

test('turns: what is said with entries is said once, with the last of them', (t) => {
  const loop = new Loop();
  loop.hear(committed(1, [60_000, 60_000]));
  loop.run();
  const parts = loop.turns.flat().flatMap((message) => (message.kind === 'committed' ? [message] : []));
  t.deepEqual(
    parts.map(({ outcomes, asks }) => [outcomes.lost, asks]),
    [
      [[], false],
      [[7], true],
    ],
  );
});

test('turns: nothing overtakes entries that wait for their turn', (t) => {
  const loop = new Loop();
  loop.hear(committed(1, [60_000, 60_000]));
  loop.hear({ kind: 'how-far' });
  loop.hear(committed(3, [1]));
  t.is(loop.turns.flat().length, 1);
  loop.run();
  const heard = loop.turns
    .flat()
    .map((message) => (message.kind === 'committed' ? message.firstIndex : message.kind));
  t.deepEqual(heard, [1, 2, 'how-far', 3]);
});
