import { ShoalError } from '#proto/base/errors.ts';
import { LIMITS } from '#proto/base/limits.ts';

/*
 * A transaction that is larger than an entry comes in parts, each in an entry of its own; the last of them makes it
 * whole. At most one is on its way at a time, since a leader's proposer sends them one after the other. What is kept of
 * it is state like any other: the same on every member, in its snapshots and in its hash.
 */

/** Names a transaction in the log. */
export interface TransactionName {
  readonly proposer: number;
  readonly serial: number;
}

/** Part `number` (from 1) of `count`; with a count of 0 it says that the rest will not come. */
export interface TransactionPart extends TransactionName {
  readonly number: number;
  readonly count: number;
  readonly data: Uint8Array;
}

/** The first parts of one transaction, none missing, all of entries of this term. */
export interface KeptParts {
  readonly term: number;
  readonly parts: readonly TransactionPart[];
}

export const NO_PARTS: KeptParts = { term: 0, parts: [] };

/** What an entry made of what was kept. */
export interface Taken {
  readonly kept: KeptParts;
  /** Every part of the transaction that it made whole. */
  readonly whole?: readonly TransactionPart[];
  /** Transactions that can't become whole any more: they have changed nothing, and never will. */
  readonly lost: readonly TransactionName[];
}

/**
 * To be told of every entry, with its part if it has one.
 *
 * A transaction is never made whole with a hole in it. Its proposer sends each part once, in order, and may lose any of
 * them; of those that get into the log none overtakes another. So a part is taken only if it is the very next one, and
 * else no later one can be; with an entry of another term its proposer, which led in the term before, may have lost
 * some, and the rest is not waited for; and the first part of another transaction says that its proposer is through with
 * this one.
 */
export function takeEntry(before: KeptParts, term: number, part: TransactionPart | undefined): Taken {
  const isOver = before.parts.length > 0 && before.term !== term;
  const kept = isOver ? NO_PARTS : before;
  const lost = isOver ? namesOf(before) : [];
  if (part === undefined) return { kept, lost };
  const taken = takePart(kept, term, part);
  return { ...taken, lost: [...lost, ...taken.lost] };
}

function takePart(kept: KeptParts, term: number, part: TransactionPart): Taken {
  if (part.number === 1 && part.count > 1) return { kept: { term, parts: [part] }, lost: namesOf(kept) };
  const isSame = isNamed(kept, part);
  if (!isSame || part.number !== kept.parts.length + 1 || part.count !== kept.parts[0]?.count)
    return { kept: isSame ? NO_PARTS : kept, lost: [part] };
  const parts = [...kept.parts, part];
  refuseTooMuch(parts);
  return part.number === part.count
    ? { kept: NO_PARTS, whole: parts, lost: [] }
    : { kept: { term, parts }, lost: [] };
}

function isNamed({ parts: [first] }: KeptParts, { proposer, serial }: TransactionName): boolean {
  return first?.proposer === proposer && first.serial === serial;
}

function namesOf({ parts }: KeptParts): readonly TransactionName[] {
  return parts.slice(0, 1);
}

/** A member that lets go of what others keep would be another state from here on: it had better stop. */
function refuseTooMuch(parts: readonly TransactionPart[]): void {
  const bytes = parts.reduce((sum, { data }) => sum + data.length, 0);
  if (bytes <= LIMITS.transactionBytesMax) return;
  throw new ShoalError(
    'INTERNAL',
    `log entries with ${bytes} bytes of one transaction: this version of Shoal keeps ${LIMITS.transactionBytesMax}, so a newer one is needed here`,
  );
}

/** What becomes of a transaction of which a part is lost. */
export function lostPart(): ShoalError {
  return new ShoalError(
    'UNAVAILABLE',
    'the change took several log entries, and not all of them were made: nothing was changed',
  );
}
