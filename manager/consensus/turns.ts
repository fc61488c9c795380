import { pack, unpack } from './packed.ts';
import type { ToHost } from './protocol.ts';
import { runsOf, termsOf } from './term-runs.ts';

/** What is applied in one turn of the loop, beyond one entry of any size: some milliseconds of work. */
const TURN_BYTES_MAX = 64 * 1024;
const TURN_ENTRIES_MAX = 256;

type Committed = Extract<ToHost, { readonly kind: 'committed' }>;

/**
 * Hands messages over in their order, but no more entries to apply in one turn of the loop than take some milliseconds:
 * otherwise all that are there, and those that come meanwhile, would be handed over in one turn, and nobody else would get
 * theirs. `nextTurn` calls back after the loop has turned.
 */
export function paced(
  receive: (message: ToHost) => void,
  nextTurn: (then: () => void) => unknown = inNextTurn,
): (message: ToHost) => void {
  let waiting: ToHost[] = [];
  let isPausing = false;
  const take = (message: ToHost): void => {
    if (message.kind !== 'committed') return receive(message);
    const [first, ...later] = partsOf(message);
    if (later.length > 0) waiting = [...later, ...waiting];
    isPausing = true;
    nextTurn(goOn);
    receive(first as Committed);
  };
  const goOn = (): void => {
    isPausing = false;
    while (!isPausing && waiting.length > 0) take(waiting.shift() as ToHost);
  };
  return (message) => {
    if (isPausing) waiting.push(message);
    else take(message);
  };
}

/** Not at the end of this turn either: messages come in the middle of one. */
function inNextTurn(then: () => void): void {
  setImmediate(() => setImmediate(then));
}

/** The same in several messages, each small enough for one turn; what is said with the entries comes with the last. */
function partsOf(message: Committed): Committed[] {
  const entries = unpack(message.data);
  const ends = turnEnds(entries);
  if (ends.length <= 1) return [message];
  const terms = termsOf(message.terms);
  return ends.map((end, part) => {
    const from = part === 0 ? 0 : (ends[part - 1] as number);
    const isLast = part === ends.length - 1;
    return {
      kind: 'committed',
      firstIndex: message.firstIndex + from,
      terms: runsOf(terms.slice(from, end)),
      data: pack(entries.slice(from, end)),
      outcomes: isLast ? message.outcomes : { committed: [], lost: [], unknown: [] },
      asks: isLast && message.asks,
    };
  });
}

/** Where each turn's entries end. */
function turnEnds(entries: readonly Uint8Array[]): number[] {
  const ends: number[] = [];
  let from = 0;
  let bytes = 0;
  for (const [at, { length }] of entries.entries()) {
    const isFull = bytes + length > TURN_BYTES_MAX || at - from >= TURN_ENTRIES_MAX;
    if (isFull && at > from) {
      ends.push(at);
      from = at;
      bytes = 0;
    }
    bytes += length;
  }
  return [...ends, entries.length];
}
