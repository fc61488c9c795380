import type { PeerProgress } from 'raft-ts';
import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { Member, MemberStatus } from './consensus.ts';
import { type MembershipHistory, membersOf, type Peer, peerOf, wasRemoved } from './membership.ts';
import { REMOVED } from './transport.ts';

/** Who introduced itself is remembered, up to a number that no cluster's managers reach. */
const INTRODUCED_MAX = 256;

export interface RosterOpts {
  readonly self: Peer;
  /** A member that was heard within this time is reachable. */
  readonly reachableMs: number;
}

export interface RosterModules {
  readonly history: MembershipHistory;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

/** Who is who: the members as the log has them, what they said of themselves, and when they were last heard. */
export class Roster {
  readonly #opts: RosterOpts;
  readonly #modules: RosterModules;
  readonly #heardAtMs = new Map<number, number>();
  readonly #introduced = new Map<number, Peer>();

  constructor(opts: RosterOpts, modules: RosterModules) {
    this.#opts = opts;
    this.#modules = modules;
  }

  /** Lets a member speak. Throws FORBIDDEN when it was removed, UNAUTHENTICATED when its id is another's. */
  admit(sender: Peer): void {
    const { current } = this.#modules.history;
    if (wasRemoved(current, sender.raftId)) throw new ShoalError('FORBIDDEN', REMOVED);
    const known = peerOf(current, sender.raftId);
    if (known !== undefined && known.nodeId !== sender.nodeId) {
      const message = `manager ${sender.raftId} is node ${known.nodeId}, not ${sender.nodeId}`;
      throw new ShoalError('UNAUTHENTICATED', message);
    }
    this.#introduced.delete(sender.raftId);
    this.#introduced.set(sender.raftId, sender);
    const [oldest] = this.#introduced.keys();
    if (this.#introduced.size > INTRODUCED_MAX && oldest !== undefined) this.#introduced.delete(oldest);
  }

  /** Where a member said it is found, since we started. */
  introduced(raftId: number): Peer | undefined {
    return this.#introduced.get(raftId);
  }

  heard(raftId: number): void {
    this.#heardAtMs.set(raftId, this.#modules.clock.monotonicMs());
  }

  heardLately(raftId: number): boolean {
    if (raftId === this.#opts.self.raftId) return true;
    const atMs = this.#heardAtMs.get(raftId);
    return atMs !== undefined && this.#modules.clock.monotonicMs() - atMs <= this.#opts.reachableMs;
  }

  /** Forgets those who were removed. */
  membersChanged(): void {
    for (const raftId of this.#introduced.keys())
      if (wasRemoved(this.#modules.history.current, raftId)) {
        this.#introduced.delete(raftId);
        this.#heardAtMs.delete(raftId);
      }
  }

  get members(): readonly Member[] {
    return membersOf(this.#modules.history.current);
  }

  /** A member, or one that our log does not know yet and that spoke to us. */
  find(raftId: number): Member | undefined {
    const member = this.members.find((other) => other.raftId === raftId);
    if (member !== undefined) return member;
    const peer = this.#introduced.get(raftId);
    return peer === undefined ? undefined : { ...peer, learner: false };
  }

  get self(): Member {
    const { self } = this.#opts;
    return { ...self, learner: this.#modules.history.current.confState.learners.includes(self.raftId) };
  }

  /** How the members stand. `hears`: who has a line to us open, for those that need not speak to us. */
  status(progress: readonly PeerProgress[], hears: (raftId: number) => boolean): MemberStatus[] {
    return this.members.map((member) => {
      const { raftId } = member;
      const own = progress.find((one) => one.id === raftId);
      const reachable = this.heardLately(raftId) || (progress.length === 0 && hears(raftId));
      return { member, reachable, ...(own !== undefined && { matchIndex: own.match }) };
    });
  }
}
