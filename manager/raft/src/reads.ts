import type { PeerId } from './types.ts';

/** A read that waits for an answer: who asked, and with which context. */
export interface ReadRequest {
  readonly from: PeerId;
  readonly context: Uint8Array;
}

/** A read that may be answered once its index is applied where it was asked. */
export interface ConfirmedRead extends ReadRequest {
  readonly index: number;
}

interface PendingRead extends ConfirmedRead {
  /** The first round of heartbeats that begins after the read came in. */
  readonly round: number;
}

/**
 * The leader's reads (Raft thesis, section 6.4): each remembers what was committed when it came in, and is answered when
 * a quorum has answered a round of heartbeats that began later. All reads between two rounds share one.
 */
export class PendingReads {
  readonly #countMax: number;
  /** The last round of heartbeats sent in this term. */
  #round = 0;
  /** Came before an entry of our term was committed: we don't know yet what is. */
  #early: ReadRequest[] = [];
  /** Oldest first; rounds and indices don't fall. */
  #waiting: PendingRead[] = [];

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  get round(): number {
    return this.#round;
  }

  get full(): boolean {
    return this.#early.length + this.#waiting.length >= this.#countMax;
  }

  /** Is there a read that no round so far can confirm? */
  get roundDue(): boolean {
    const last = this.#waiting.at(-1);
    return last !== undefined && last.round > this.#round;
  }

  /** A broadcast begins. */
  nextRound(): number {
    this.#round += 1;
    return this.#round;
  }

  /** Keeps a read until we know what is committed. */
  postpone(request: ReadRequest): void {
    this.#early.push(request);
  }

  /** Hands back the postponed reads. */
  takePostponed(): readonly ReadRequest[] {
    const early = this.#early;
    this.#early = [];
    return early;
  }

  add(request: ReadRequest, commit: number): void {
    this.#waiting.push({ ...request, index: commit, round: this.#round + 1 });
  }

  /** A quorum has answered this round, or a later one. */
  confirm(round: number): readonly ConfirmedRead[] {
    let count = 0;
    while (count < this.#waiting.length && (this.#waiting[count] as PendingRead).round <= round) count += 1;
    return count === 0 ? [] : this.#waiting.splice(0, count);
  }

  /** Leadership is lost or won: whoever waits must ask again. */
  reset(): void {
    this.#round = 0;
    this.#early = [];
    this.#waiting = [];
  }
}
