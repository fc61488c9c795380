import type { PeerId } from './types.ts';

/** Pending: the silent voters may still decide. */
export type VoteResult = 'pending' | 'won' | 'lost';

/** The voters of a group; joint while `votersOutgoing` is not empty, and then both sides must agree. */
export interface Voters {
  readonly voters: readonly PeerId[];
  readonly votersOutgoing: readonly PeerId[];
}

/**
 * The highest number that a majority has reached, given how far each voter got; Infinity without voters, so that an
 * empty side of a joint configuration decides nothing.
 */
export function majorityReached(voters: readonly PeerId[], reached: (id: PeerId) => number): number {
  const count = voters.length;
  if (count === 0) return Number.POSITIVE_INFINITY;
  const sorted: number[] = [];
  for (const id of voters) insertSorted(sorted, reached(id));
  return sorted[count >>> 1] as number;
}

/** Groups are small: insertion beats a general sort, and needs no comparator. Descending. */
function insertSorted(sorted: number[], value: number): void {
  let at = sorted.length;
  sorted.push(value);
  while (at > 0 && (sorted[at - 1] as number) < value) {
    sorted[at] = sorted[at - 1] as number;
    at -= 1;
  }
  sorted[at] = value;
}

/** What majorityReached says on both sides of a configuration that may be joint (Raft thesis, section 4.3). */
export function quorumReached(conf: Voters, reached: (id: PeerId) => number): number {
  const incoming = majorityReached(conf.voters, reached);
  return conf.votersOutgoing.length === 0
    ? incoming
    : Math.min(incoming, majorityReached(conf.votersOutgoing, reached));
}

/** How a vote stands; `vote` answers undefined while a voter is silent. Won without voters. */
export function majorityVote(
  voters: readonly PeerId[],
  vote: (id: PeerId) => boolean | undefined,
): VoteResult {
  let granted = 0;
  let silent = 0;
  for (const id of voters) {
    const said = vote(id);
    if (said === undefined) silent += 1;
    else if (said) granted += 1;
  }
  const needed = voters.length === 0 ? 0 : (voters.length >>> 1) + 1;
  if (granted >= needed) return 'won';
  return granted + silent >= needed ? 'pending' : 'lost';
}

/** A joint vote is won when both sides are won and lost as soon as one is. */
export function quorumVote(conf: Voters, vote: (id: PeerId) => boolean | undefined): VoteResult {
  const incoming = majorityVote(conf.voters, vote);
  const outgoing = majorityVote(conf.votersOutgoing, vote);
  if (incoming === outgoing) return incoming;
  return incoming === 'lost' || outgoing === 'lost' ? 'lost' : 'pending';
}
