import type { CommittedEntry } from '#manager/consensus/consensus.ts';
import { decodeEntry, joinEntry } from '#manager/store/log-entry.ts';
import type { TransactionPart } from '#manager/store/parts.ts';

/*
 * What a log with parts means, said in another way than the store does it: looking back from each last part for all the
 * others.
 */

function partOf({ data }: CommittedEntry): TransactionPart | undefined {
  return data.length === 0 ? undefined : decodeEntry(data).part;
}

function isSame(a: TransactionPart, b: TransactionPart | undefined): boolean {
  return a.proposer === b?.proposer && a.serial === b.serial;
}

/** All parts of the transaction that this entry ends; undefined where it ends none, or one with something wrong. */
function wholeAt(log: readonly CommittedEntry[], at: number): readonly TransactionPart[] | undefined {
  const last = partOf(log[at] as CommittedEntry);
  if (last === undefined || last.number !== last.count) return undefined;
  const begin = log.findIndex((entry) => isSame(last, partOf(entry)));
  const stretch = log.slice(begin, at + 1);
  const parts = stretch.map(partOf).filter((part) => part !== undefined);
  const own = parts.filter((part) => isSame(last, part));
  const isOneTerm = stretch.every(({ term }) => term === stretch[0]?.term);
  const isAlone = parts.every((part) => isSame(last, part) || part.number !== 1);
  const numbers = own.map(({ number }) => number);
  const isInOrder = numbers.every((number, i) => number === i + 1);
  return isOneTerm && isAlone && isInOrder && own.length === last.count ? own : undefined;
}

/** The same log with each large transaction whole in the place of its last part, however large, and no parts. */
export function committedWhole(log: readonly CommittedEntry[]): CommittedEntry[] {
  return log.map((entry, at) => {
    if (partOf(entry) === undefined) return entry;
    const parts = wholeAt(log, at);
    const data = parts === undefined ? new Uint8Array() : joinEntry(parts.map((part) => part.data));
    return { ...entry, data };
  });
}

/** What there is in a log, each as often as it is there. */
export function kindsIn(log: readonly CommittedEntry[]): string[] {
  return log.flatMap((entry, at) => {
    const part = partOf(entry);
    if (part === undefined) return [];
    if (part.count === 0) return ['given up'];
    const before = log[at - 1];
    const isApart = part.number > 1 && before !== undefined && partOf(before) === undefined;
    const between = isApart ? ['something between parts'] : [];
    if (part.number === part.count)
      return [...between, wholeAt(log, at) === undefined ? 'never whole' : 'whole'];
    return between;
  });
}
