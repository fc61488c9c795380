import { membersOf, NO_MEMBERS } from './conf-change.ts';
import { Inflights } from './inflights.ts';
import { Progress } from './progress.ts';
import { quorumReached, quorumVote, type VoteResult } from './quorum.ts';
import type { ConfState, PeerId } from './types.ts';

/** See Config. */
export interface TrackerOpts {
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
}

/** How an election stands. */
export interface Tally {
  readonly granted: number;
  readonly rejected: number;
  readonly result: VoteResult;
}

/** The members of the group, how far each one is, and whom they vote for. */
export class Tracker {
  readonly #opts: TrackerOpts;
  #conf: ConfState = NO_MEMBERS;
  #progress: readonly Progress[] = [];
  #byId = new Map<PeerId, Progress>();
  #votes = new Map<PeerId, boolean>();

  constructor(opts: TrackerOpts) {
    this.#opts = opts;
  }

  get conf(): ConfState {
    return this.#conf;
  }

  /** One for each of membersOf(conf), sorted by id. */
  get progress(): readonly Progress[] {
    return this.#progress;
  }

  get(id: PeerId): Progress | undefined {
    return this.#byId.get(id);
  }

  /** Who stays keeps its progress; who is new is probed at `lastIndex` first. */
  setConf(conf: ConfState, lastIndex: number): void {
    this.#conf = conf;
    this.#progress = membersOf(conf).map((id) => this.#byId.get(id) ?? this.#newProgress(id, lastIndex));
    this.#byId = new Map(this.#progress.map((progress) => [progress.id, progress]));
    for (const progress of this.#progress) progress.isLearner = conf.learners.includes(progress.id);
  }

  #newProgress(id: PeerId, lastIndex: number): Progress {
    const inflights = new Inflights(this.#opts.inflightMessagesMax, this.#opts.inflightBytesMax);
    return new Progress(id, Math.max(lastIndex, 1), inflights);
  }

  /** The highest index that a quorum has: what may be committed, if it is of this term. */
  committed(): number {
    return quorumReached(this.#conf, (id) => this.#byId.get(id)?.match ?? 0);
  }

  /** The highest number that a quorum has reached. */
  reached(of: (progress: Progress) => number): number {
    return quorumReached(this.#conf, (id) => of(this.#byId.get(id) as Progress));
  }

  /** Has a quorum answered since the last check? */
  quorumActive(): boolean {
    return quorumVote(this.#conf, (id) => this.#byId.get(id)?.recentActive ?? false) === 'won';
  }

  resetVotes(): void {
    this.#votes = new Map();
  }

  /** Only a member's first vote counts. */
  recordVote(id: PeerId, granted: boolean): void {
    if (!this.#votes.has(id)) this.#votes.set(id, granted);
  }

  hasVoted(id: PeerId): boolean {
    return this.#votes.has(id);
  }

  tally(): Tally {
    let granted = 0;
    let rejected = 0;
    for (const [id, vote] of this.#votes) {
      if (this.#byId.get(id)?.isLearner !== false) continue;
      if (vote) granted += 1;
      else rejected += 1;
    }
    return { granted, rejected, result: quorumVote(this.#conf, (id) => this.#votes.get(id)) };
  }
}
