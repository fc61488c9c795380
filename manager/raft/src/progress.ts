import { assert } from './errors.ts';
import type { Inflights } from './inflights.ts';
import type { PeerId } from './types.ts';

/**
 * `probe`: where the peer's log ends is not known; one message per heartbeat, until an answer says so.
 * `replicate`: entries are sent ahead of the answers, as far as the limits of what is under way allow.
 * `snapshot`: the peer needs entries that are compacted; nothing is sent until it has the snapshot.
 */
export type ProgressState = 'probe' | 'replicate' | 'snapshot';

/** How a peer stands, in the leader's eyes: a value to look at. */
export interface PeerProgress {
  readonly id: PeerId;
  readonly state: ProgressState;
  readonly match: number;
  readonly next: number;
  readonly isLearner: boolean;
  readonly paused: boolean;
  /** 0 outside of `snapshot`. */
  readonly pendingSnapshot: number;
  readonly recentActive: boolean;
  readonly inflightMessages: number;
  readonly inflightBytes: number;
  readonly inflightFull: boolean;
}

/** What the leader knows of one peer's log, itself included. Only meaningful on the leader. */
export class Progress {
  readonly id: PeerId;
  readonly inflights: Inflights;

  /** The peer's log is known to equal ours up to here. 0 <= match < next. */
  match = 0;

  /**
   * The next entry to send. All before it are matched, under way, or (in `snapshot`) part of the snapshot.
   * `probe`: only a guess. `replicate`: moves on with every message sent.
   */
  next: number;

  /** The highest commit index that was sent and not given up for lost; below `next`, or not useful to the peer. */
  #sentCommit = 0;

  state: ProgressState = 'probe';

  /** In `snapshot`: the snapshot's index; then next === pendingSnapshot + 1. Otherwise 0. */
  pendingSnapshot = 0;

  /** It has answered since the last check of the quorum. */
  recentActive: boolean;

  /**
   * Hold back messages with entries. `probe`: one was sent, its answer or a heartbeat's is awaited. `replicate`: what is
   * under way has reached its limit. Any answer lifts it once, so that a lost message does not stop the peer for ever.
   */
  appendsPaused = false;

  /** It gets entries but has no say. Follows the configuration. */
  isLearner = false;

  /** The latest heartbeat it answered; see heartbeat.ts. */
  ackedRound = 0;

  /** Our tick when we sent that heartbeat. */
  ackedTick = Number.NEGATIVE_INFINITY;

  /** `next` is where to probe first; a peer that was just added counts as active, so that it has time to answer. */
  constructor(id: PeerId, next: number, inflights: Inflights) {
    this.id = id;
    this.next = next;
    this.inflights = inflights;
    this.recentActive = true;
  }

  /** Forgets everything, at a change of term: `lastIndex` is our own. */
  reset(lastIndex: number): void {
    this.match = 0;
    this.next = lastIndex + 1;
    this.#sentCommit = 0;
    this.recentActive = false;
    this.ackedRound = 0;
    this.ackedTick = Number.NEGATIVE_INFINITY;
    this.#enter('probe');
  }

  get paused(): boolean {
    return this.state === 'snapshot' || this.appendsPaused;
  }

  becomeProbe(): void {
    // The snapshot may have arrived although we were not told: probe after it rather than before.
    const afterSnapshot = this.state === 'snapshot' ? this.pendingSnapshot + 1 : 0;
    this.#enter('probe');
    this.next = Math.max(this.match + 1, afterSnapshot);
    this.#sentCommit = Math.min(this.#sentCommit, this.next - 1);
  }

  becomeReplicate(): void {
    this.#enter('replicate');
    this.next = this.match + 1;
  }

  becomeSnapshot(index: number): void {
    this.#enter('snapshot');
    this.pendingSnapshot = index;
    this.next = index + 1;
    this.#sentCommit = index;
  }

  #enter(state: ProgressState): void {
    this.state = state;
    this.appendsPaused = false;
    this.pendingSnapshot = 0;
    this.inflights.reset();
  }

  /** A message with `count` entries, of `bytes` data, was sent. */
  sentEntries(count: number, bytes: number): void {
    assert(this.state !== 'snapshot', 'entries were sent to a peer that waits for a snapshot');
    if (this.state === 'replicate') {
      if (count > 0) {
        this.next += count;
        this.inflights.add(this.next - 1, bytes);
      }
      this.appendsPaused = this.inflights.full;
    } else if (count > 0) {
      this.appendsPaused = true;
    }
  }

  sentCommit(commit: number): void {
    this.#sentCommit = commit;
  }

  /** Would telling it `commit` let it commit more than what we told it already? */
  canBumpCommit(commit: number): boolean {
    return commit > this.#sentCommit && this.#sentCommit < this.next - 1;
  }

  /** It has entries up to `index`. False when that is old news. */
  maybeUpdate(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.appendsPaused = false;
    return true;
  }

  /** It rejected entries after `rejected`, and may match at `hint`. False when the rejection is old news. */
  maybeDecrease(rejected: number, hint: number): boolean {
    if (this.state === 'replicate') {
      if (rejected <= this.match) return false;
      this.next = this.match + 1;
    } else {
      // Only the latest probe counts.
      if (this.next - 1 !== rejected) return false;
      this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1);
      this.appendsPaused = false;
    }
    this.#sentCommit = Math.min(this.#sentCommit, this.next - 1);
    return true;
  }

  status(): PeerProgress {
    return {
      id: this.id,
      state: this.state,
      match: this.match,
      next: this.next,
      isLearner: this.isLearner,
      paused: this.paused,
      pendingSnapshot: this.pendingSnapshot,
      recentActive: this.recentActive,
      inflightMessages: this.inflights.count,
      inflightBytes: this.inflights.bytes,
      inflightFull: this.inflights.full,
    };
  }
}
