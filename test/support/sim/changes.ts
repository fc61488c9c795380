import { ConfChangeType, type ConfChangeSingle as Single } from 'raft-ts';
import type { StartOpts } from '#manager/consensus/opts.ts';
import type { Random } from '#proto/base/random.ts';
import type { SimGroup } from './group.ts';
import type { SimManager } from './manager.ts';

export interface ChangesOpts {
  /** More are not let in. */
  readonly managersMax: number;
  /** A mistake: who was let in as a learner is made a voter at once. */
  readonly votesAtOnce: boolean;
  /** A mistake: a manager that was let go comes back as the member that it was. */
  readonly keepsOldId: boolean;
}

/** How long one that was removed may run on without knowing; some run on for good. */
const LEFT_RUNNING_MS_MAX = 500;
const RUNS_ON_CHANCE = 0.4;
/** Between a manager's being let go and its coming back. */
const AWAY_MS_MAX = 800;
/** A manager that is down for so long is lost. */
const LOST_AFTER_MS = 250;
/** How long a change of several members is waited for. */
const SEVERAL_WITHIN_MS = 1500;
const LOOK_EVERY_MS = 20;

/** Who manages, and how that changes while everything else goes on: one change at a time. */
export class MemberChanges {
  readonly #opts: ChangesOpts;
  readonly #group: SimGroup;
  readonly #random: Random;
  #changing = false;
  #ended = false;
  count = 0;

  constructor(opts: ChangesOpts, group: SimGroup, random: Random) {
    this.#opts = opts;
    this.#group = group;
    this.#random = random;
  }

  /** No more changes are begun. */
  end(): void {
    this.#ended = true;
  }

  /** Lets a new manager in, and starts it. */
  async add(): Promise<void> {
    if (!this.#hasRoom()) return;
    const done = await this.#change('adds a manager', (leader) => this.#letIn(leader, this.#group.make()));
    if (done === undefined) this.#group.note('nobody was let in');
  }

  /** Lets a new manager in that does not come. */
  async addAbsent(): Promise<void> {
    const { absent } = this.#group;
    if (!this.#hasRoom() || absent.length > 0) return;
    await this.#change('adds a manager that does not come', async (leader) => {
      const manager = this.#group.make();
      const start = await this.#admitted(leader, manager);
      if (start === undefined) return undefined;
      absent.push({ manager, start });
      if (this.#opts.votesAtOnce)
        this.#group.propose(leader, [{ type: ConfChangeType.AddNode, nodeId: start.raftId }]);
      return true;
    });
  }

  /** True when it is known to be done. */
  async remove(manager: SimManager): Promise<boolean> {
    const { managers, time } = this.#group;
    if (this.#group.voters().length <= 1 || manager.raftId === 0) return false;
    const done = await this.#change(`removes ${manager.name}`, (leader) => takeOut(leader, manager));
    if (done !== true || !managers.includes(manager)) return false;
    this.#group.letGo(manager);
    if (this.#random.next() >= RUNS_ON_CHANCE)
      time.after(this.#random.next() * LEFT_RUNNING_MS_MAX, () => {
        if (manager.isStranger) manager.end(false);
      });
    return true;
  }

  async replace(manager: SimManager): Promise<void> {
    await this.add();
    await this.remove(manager);
  }

  /** A spare takes the place of one that is lost, and that comes back later with all that it had. */
  async replaceLost(manager: SimManager): Promise<void> {
    const { time } = this.#group;
    this.#group.end(manager, this.#random.next() < 0.5);
    await time.sleep(LOST_AFTER_MS);
    if (manager.life !== undefined) return;
    await this.replace(manager);
    await time.sleep(this.#random.next() * AWAY_MS_MAX);
    if (manager.isStranger) this.#group.restart(manager);
  }

  /** A manager is made a worker, which keeps nothing of what it knew, and later a manager again. */
  async demote(manager: SimManager): Promise<void> {
    const { time } = this.#group;
    const { raftId } = manager;
    if (!(await this.remove(manager))) return;
    await time.sleep(this.#random.next() * LEFT_RUNNING_MS_MAX);
    manager.end(false);
    manager.forget();
    await time.sleep(this.#random.next() * AWAY_MS_MAX);
    if (!manager.isStranger) return;
    await this.#change(`lets ${manager.name} in again`, (leader) =>
      this.#opts.keepsOldId ? this.#begin(manager, asBefore(leader, raftId)) : this.#letIn(leader, manager),
    );
  }

  /** Several members change at once, what they are and whether they are; no operator does it, Raft can. */
  async changeSeveral(): Promise<void> {
    await this.#change('changes several members', async (leader) => {
      const changes = this.#someChanges(leader);
      if (changes.length < 2) return undefined;
      this.#group.note(
        `members: ${changes.map(({ type, nodeId }) => `${NAMES[type]} ${nodeId}`).join(', ')}`,
      );
      this.#group.propose(leader, changes);
      return this.#removedAll(changes);
    });
  }

  /** The leader stays: nobody would be left who knows of it, see MembershipAdmin. */
  #someChanges(leader: SimManager): Single[] {
    const changes: Single[] = [];
    const stays = leader.raftId;
    for (const { raftId: nodeId, learner } of this.#group.members()) {
      if (nodeId === stays || !this.#group.managers.some(({ raftId }) => raftId === nodeId)) continue;
      const dice = this.#random.next();
      if (learner && dice < 0.7) changes.push({ type: ConfChangeType.AddNode, nodeId });
      if (!learner && dice < 0.25) changes.push({ type: ConfChangeType.RemoveNode, nodeId });
      else if (!learner && dice < 0.6) changes.push({ type: ConfChangeType.AddLearnerNode, nodeId });
    }
    return changes;
  }

  /** Those that were removed run on: the others may need their votes until they know of it, too. */
  async #removedAll(changes: readonly Single[]): Promise<true | undefined> {
    const { time, managers } = this.#group;
    const removed = changes.filter(({ type }) => type === ConfChangeType.RemoveNode).map((one) => one.nodeId);
    const isDone = (): boolean => {
      const members = this.#group.members();
      return members.length > 0 && members.every(({ raftId }) => !removed.includes(raftId));
    };
    for (let ms = 0; ms < SEVERAL_WITHIN_MS && !isDone(); ms += LOOK_EVERY_MS)
      await time.sleep(LOOK_EVERY_MS);
    if (!isDone()) return undefined;
    for (const manager of managers.filter(({ raftId }) => removed.includes(raftId)))
      this.#group.letGo(manager);
    return true;
  }

  #hasRoom(): boolean {
    return this.#group.managers.length < this.#opts.managersMax;
  }

  async #letIn(leader: SimManager, manager: SimManager): Promise<true | undefined> {
    return this.#begin(manager, await this.#admitted(leader, manager));
  }

  async #admitted(leader: SimManager, manager: SimManager) {
    const added = await leader.ask(
      async ({ consensus }) => ({
        member: await consensus?.addMember(manager.identity),
        members: consensus?.members() ?? [],
      }),
      1,
    );
    if (added?.member === undefined) return undefined;
    return { kind: 'join', raftId: added.member.raftId, members: added.members } as const;
  }

  async #begin(manager: SimManager, start: StartOpts | undefined): Promise<true | undefined> {
    if (start === undefined || this.#group.isClosed) return undefined;
    this.#group.takeIn(manager);
    await manager.start(start);
    return true;
  }

  /** Undefined when it was not done, or nobody knows. */
  async #change<T>(what: string, work: (leader: SimManager) => Promise<T>): Promise<T | undefined> {
    const leader = this.#group.leader();
    if (leader === undefined || this.#changing || this.#ended) return undefined;
    this.#changing = true;
    try {
      this.#group.note(`members: ${leader.name} ${what}`);
      const done = await work(leader);
      if (done !== undefined) this.count += 1;
      return done;
    } catch (error) {
      this.#group.note(`members: not done: ${(error as Error).message}`);
      return undefined;
    } finally {
      this.#changing = false;
    }
  }
}

const NAMES = ['voter', 'no more', 'the same', 'learner'] as const;

function takeOut(leader: SimManager, { raftId }: SimManager): Promise<true | undefined> {
  return leader.ask(async ({ consensus }) => {
    await consensus?.removeMember(raftId);
    return true as const;
  }, 1);
}

function asBefore(leader: SimManager, raftId: number): StartOpts {
  return { kind: 'join', raftId, members: leader.life?.consensus?.members() ?? [] };
}
