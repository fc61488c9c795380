import { NOBODY, type Raft } from './raft.ts';
import type { ConfirmedRead, ReadRequest } from './reads.ts';
import { MessageType } from './types.ts';

/*
 * Reads on the leader (Raft thesis, section 6.4). Safe: answered once a quorum has shown, after the read came in, that it
 * still follows us. Lease: answered at once while a quorum promised so recently to follow us that nobody else can lead.
 */

/** Takes a read; false when too many wait already. */
export function takeRead(raft: Raft, request: ReadRequest): boolean {
  if (raft.reads.full) {
    raft.trace?.({ kind: 'read-dropped', why: 'no-room', from: request.from });
    return false;
  }
  if (raft.committedInTerm) startRead(raft, request);
  else raft.reads.postpone(request);
  return true;
}

/** An entry of our term is committed: now we know what is. */
export function releasePostponedReads(raft: Raft): void {
  if (!raft.committedInTerm) return;
  for (const request of raft.reads.takePostponed()) startRead(raft, request);
}

function startRead(raft: Raft, request: ReadRequest): void {
  const index = raft.log.committed;
  if (leaseHolds(raft)) answer(raft, { ...request, index });
  else {
    raft.reads.add(request, index);
    settleReads(raft);
  }
}

/** Answers the reads that a quorum has confirmed. The leader needs no confirmation from itself. */
export function settleReads(raft: Raft): void {
  const round = raft.tracker.reached(({ id, ackedRound }) =>
    id === raft.id ? Number.POSITIVE_INFINITY : ackedRound,
  );
  for (const read of raft.reads.confirm(round)) answer(raft, read);
}

/**
 * Can nobody else lead yet? A follower keeps to us for electionTicks after each heartbeat; its first tick may come right
 * after the heartbeat and our next one may be about to come, which makes two less; then the margin.
 */
export function leaseHolds(raft: Raft): boolean {
  const { reads, electionTicks, leaseMarginTicks } = raft.settings;
  if (reads !== 'lease' || raft.transferee !== NOBODY || raft.timeoutNowSent) return false;
  const promised = raft.tracker.reached(({ id, ackedTick }) => (id === raft.id ? raft.ticks : ackedTick));
  return raft.ticks - promised <= electionTicks - 2 - leaseMarginTicks;
}

function answer(raft: Raft, { from, context, index }: ConfirmedRead): void {
  if (from === raft.id) raft.readStates.push({ index, context });
  else {
    raft.send({ type: MessageType.ReadIndexResp, to: from, from: raft.id, term: raft.term, index, context });
  }
}
