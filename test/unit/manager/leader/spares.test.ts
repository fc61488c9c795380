import test from 'ava';
import fc from 'fast-check';
import type { MemberStatus } from '#manager/consensus/consensus.ts';
import { Absences } from '#manager/leader/absences.ts';
import { roleDuties } from '#manager/leader/roles.ts';
import { type Replacement, replacement, SPARE_LABEL, spareAfterMs } from '#manager/leader/spares.ts';
import type { Change } from '#manager/store/changes.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { Node } from '#proto/types/objects.ts';
import type { NodeRole, NodeState } from '#proto/types/states.ts';
import { descriptionOf } from '#test/support/cluster.ts';
import { openTestStoreWith, type TestStore } from '#test/support/local-log.ts';

const NOW_MS = 10_000_000;

interface Given {
  readonly role: NodeRole;
  readonly state?: NodeState;
  /** Of the label; absent: no spare. */
  readonly spare?: string;
  readonly sinceMs?: number;
}

function node(id: string, { role, state = 'ready', spare, sinceMs = 0 }: Given): Change {
  return {
    kind: 'putNode',
    node: {
      id: id as NodeId,
      spec: {
        role,
        availability: 'active',
        ...(spare !== undefined && { labels: { [SPARE_LABEL]: spare } }),
      },
      role,
      description: descriptionOf(id),
      status: { state, sinceMs },
    },
  };
}

function member(raftId: number, id: string, reachable = true, learner = false): MemberStatus {
  const nodeId = id as NodeId;
  return { member: { raftId, nodeId, raftAddr: `${id}:2`, controlAddr: `${id}:1`, learner }, reachable };
}

const MANAGERS = [node('a', { role: 'manager' }), node('b', { role: 'manager' })];
const LOST = node('c', { role: 'manager', state: 'down' });
const SPARE = node('s', { role: 'worker', spare: 'true' });
const MEMBERS = [member(1, 'a'), member(2, 'b'), member(3, 'c', false)];

async function due(
  changes: readonly Change[],
  members: readonly MemberStatus[],
  nowMs = NOW_MS,
): Promise<Replacement | undefined> {
  await using at = await openTestStoreWith(changes);
  return replacement(at.store.view(), members, nowMs);
}

test('spares: one takes the place of a manager that is down for long, in one step', async (t) => {
  const found = await due([...MANAGERS, LOST, SPARE], MEMBERS);
  t.is(found?.lost.id as string, 'c');
  t.is(found?.spare.id as string, 's');
  t.deepEqual(
    found?.changes.map((change) => change.kind === 'putNode' && [change.node.id, change.node.spec.role]),
    [
      ['c' as NodeId, 'worker'],
      ['s' as NodeId, 'manager'],
    ],
  );
  t.is(found?.expects.length, 2);
});

test('spares: not before its time, which the label says', async (t) => {
  const quick = node('s', { role: 'worker', spare: '60' });
  t.is(await due([...MANAGERS, LOST, quick], MEMBERS, 59_000), undefined);
  t.truthy(await due([...MANAGERS, LOST, quick], MEMBERS, 60_000));
  t.is(await due([...MANAGERS, LOST, SPARE], MEMBERS, 299_000), undefined);
  const after = (value: string) =>
    spareAfterMs({ spec: { role: 'worker', availability: 'active', labels: { [SPARE_LABEL]: value } } });
  t.deepEqual(['true', '', '5', '90', 'soon', 'false'].map(after), [
    300_000,
    300_000,
    30_000,
    90_000,
    300_000,
    undefined,
  ]);
});

test('spares: a manager that is reached, or whose node is, is not lost', async (t) => {
  t.is(await due([...MANAGERS, LOST, SPARE], [...MEMBERS.slice(0, 2), member(3, 'c')]), undefined);
  const up = node('c', { role: 'manager', state: 'ready' });
  t.is(await due([...MANAGERS, up, SPARE], MEMBERS), undefined);
});

test('spares: a manager that was not reached for long is lost though its node is up: its state may be damaged', async (t) => {
  const up = node('c', { role: 'manager', state: 'ready' });
  await using at = await openTestStoreWith([...MANAGERS, up, SPARE]);
  const absences = new Absences();
  absences.saw(MEMBERS, 1_000);
  const dueAt = (nowMs: number): string | undefined =>
    replacement(at.store.view(), MEMBERS, NOW_MS, (id) => absences.forMs(id, nowMs))?.lost.id;
  t.is(dueAt(300_999), undefined);
  t.is(dueAt(301_000), 'c');
  absences.saw(MEMBERS, 200_000);
  t.is(dueAt(301_000), 'c', 'it has been away since it was first missed');
  absences.saw([...MEMBERS.slice(0, 2), member(3, 'c')], 250_000);
  absences.saw(MEMBERS, 260_000);
  t.is(dueAt(301_000), undefined, 'it answered in between');
});

test('spares: only a worker with the label that is up', async (t) => {
  for (const other of [
    node('s', { role: 'worker' }),
    node('s', { role: 'worker', spare: 'false' }),
    node('s', { role: 'worker', spare: 'true', state: 'down' }),
  ]) {
    t.is(await due([...MANAGERS, LOST, other], MEMBERS), undefined);
  }
});

test('spares: not while another manager comes or goes', async (t) => {
  const second = node('t', { role: 'manager' });
  t.is(await due([...MANAGERS, LOST, SPARE, second], MEMBERS), undefined, 'it has yet to join');
  const catchingUp = [...MEMBERS, member(4, 't', true, true)];
  t.is(await due([...MANAGERS, LOST, SPARE, second], catchingUp), undefined, 'it has no vote yet');
  const leaving = node('b', { role: 'worker' });
  t.is(await due([node('a', { role: 'manager' }), leaving, LOST, SPARE], MEMBERS), undefined);
});

test('spares: nobody goes while those that answer would not be enough without it', async (t) => {
  const four = [member(1, 'a'), member(2, 'b', false), member(3, 'c', false)];
  const lost = ['b', 'c'].map((id) => node(id, { role: 'manager', state: 'down' }));
  t.is(await due([node('a', { role: 'manager' }), ...lost, SPARE], four), undefined);
});

test('spares: one that was promoted and lost before it had a vote is replaced as well', async (t) => {
  const promoted = node('p', { role: 'manager', state: 'down' });
  const found = await due([...MANAGERS, promoted, SPARE], MEMBERS.slice(0, 2));
  t.is(found?.lost.id as string, 'p');
});

/** A small world: managers fail and return, the group follows the roles as the leader's duties say. */
class World {
  readonly #at: TestStore;
  #members: MemberStatus[];
  #nextRaftId: number;
  readonly #up = new Set<string>();
  replaced = 0;

  constructor(at: TestStore, managers: readonly string[], others: readonly string[]) {
    this.#at = at;
    this.#members = managers.map((id, index) => member(index + 1, id));
    this.#nextRaftId = managers.length + 1;
    for (const id of [...managers, ...others]) this.#up.add(id);
  }

  get voters(): MemberStatus[] {
    return this.#members.map(({ member: one }) => ({ member: one, reachable: this.#up.has(one.nodeId) }));
  }

  get hasQuorum(): boolean {
    const { voters } = this;
    return voters.filter(({ reachable }) => reachable).length > voters.length / 2;
  }

  get managers(): Node[] {
    return [...this.#at.store.view().nodes.all()].filter(({ spec }) => spec.role === 'manager');
  }

  async set(id: string, up: boolean, nowMs: number): Promise<void> {
    if (up) this.#up.add(id);
    else this.#up.delete(id);
    if (!this.hasQuorum) return;
    const status = { state: up ? 'ready' : 'down', sinceMs: nowMs } as const;
    await this.#at.store.update({ changes: [{ kind: 'setNodeStatus', nodeId: id as NodeId, status }] });
  }

  /** What the leader and the spares do once; says whether anything was done. */
  async step(nowMs: number): Promise<boolean> {
    const leader = this.voters.find(({ reachable }) => reachable);
    if (leader === undefined || !this.hasQuorum) return false;
    const view = this.#at.store.view();
    const { departure } = roleDuties(view, this.voters, leader.member.raftId);
    if (departure !== undefined) {
      this.#members = this.#members.filter(({ member: one }) => one.raftId !== departure.raftId);
      return true;
    }
    const newcomer = this.managers.find(
      ({ id }) => this.#up.has(id) && !this.#members.some((one) => one.member.nodeId === id),
    );
    if (newcomer !== undefined) {
      this.#members.push(member(this.#nextRaftId++, newcomer.id));
      return true;
    }
    const found = replacement(view, this.voters, nowMs);
    if (found === undefined) return false;
    this.replaced += 1;
    await this.#at.store.update(found);
    return true;
  }
}

test('spares: in any history of failures one at a time, the quorum and the number of managers are kept', async (t) => {
  const managers = ['a', 'b', 'c'];
  const others = ['s1', 's2', 's3'];
  let replaced = 0;
  const events = fc.array(
    fc.tuple(fc.integer({ min: 0, max: 5 }), fc.boolean(), fc.integer({ min: 0, max: 400_000 })),
    { maxLength: 25 },
  );
  await fc.assert(
    fc.asyncProperty(events, async (history) => {
      await using at = await openTestStoreWith([
        ...managers.map((id) => node(id, { role: 'manager' })),
        ...others.map((id) => node(id, { role: 'worker', spare: '60' })),
      ]);
      const world = new World(at, managers, others);
      let nowMs = 1_000;
      for (const [which, up, waitMs] of history) {
        nowMs += waitMs;
        const before = world.hasQuorum;
        for (let steps = 0; (await world.step(nowMs)) && steps < 10; steps += 1) {
          t.is(world.hasQuorum, before, 'no step of ours loses a quorum');
          t.true(world.managers.length === 3, 'as many managers as ever');
        }
        await world.set([...managers, ...others][which] as string, up, nowMs);
      }
      replaced += world.replaced;
    }),
    { numRuns: 200, seed: 7 },
  );
  t.true(replaced > 50, `${replaced} managers were replaced`);
});
