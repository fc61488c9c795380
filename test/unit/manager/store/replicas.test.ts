import test from 'ava';
import { openLocalConsensus } from '#manager/consensus/local.ts';
import type { StartOpts } from '#manager/consensus/opts.ts';
import type { Change } from '#manager/store/changes.ts';
import { StoreMachine } from '#manager/store/machine.ts';
import { PROPOSER_OPTS, type ProposerOpts } from '#manager/store/proposer.ts';
import { ReplicatedStore } from '#manager/store/store.ts';
import { assert } from '#proto/base/assert.ts';
import { nullMetrics } from '#proto/base/metrics.ts';
import type { NodeId } from '#proto/types/ids.ts';
import { Group } from '../consensus/support/group.ts';
import { createTask, N1, putNode, putService, S1, specOf } from './fixtures.ts';

/** Managers whose state machine is the store, over real Raft on simulated disks and a simulated network. */
class StoreGroup extends Group {
  readonly machines = new Map<string, StoreMachine>();

  override async start(name: string, start: StartOpts): Promise<void> {
    const manager = this.manager(name);
    const machine = new StoreMachine();
    this.machines.set(name, machine);
    const opening = openLocalConsensus(
      { stateDir: 'state', self: this.identity(name), start, limits: this.limits },
      {
        clock: this.clock,
        random: this.random,
        disk: manager.disk,
        soon: (work) => void setImmediate(work),
        startTransport: this.network.start,
        stateMachine: machine,
        log: this.log,
        metrics: nullMetrics,
        onFailure: (error) => {
          if (this.machines.get(name) === machine && manager.consensus !== undefined) manager.failure = error;
        },
      },
    );
    manager.consensus = await this.resolved(opening);
    manager.raftId = (await this.resolved(manager.consensus.status())).self.raftId;
  }

  machine(name: string): StoreMachine {
    const machine = this.machines.get(name);
    assert(machine !== undefined, `${name} was started`);
    return machine;
  }

  storeOf(name: string, opts: Partial<ProposerOpts> = {}): ReplicatedStore {
    const { clock, random } = this;
    const [machine, consensus] = [this.machine(name), this.consensus(name)];
    return new ReplicatedStore(
      { ...PROPOSER_OPTS, ...opts },
      { machine, consensus, clock, random, metrics: nullMetrics },
    );
  }

  /** Every manager has applied what this one has, and their states are one. */
  async agreed(name: string): Promise<string[]> {
    const { version } = this.machine(name);
    const machines = this.running.map((manager) => this.machine(manager.name));
    for (const machine of machines) await this.until(() => machine.version >= version, 'all have applied it');
    return [...new Set(machines.map((machine) => machine.hash()))];
  }
}

async function threeManagers(snapshotEveryEntries: number): Promise<StoreGroup> {
  const group = new StoreGroup({ limits: { snapshotEveryEntries, logEntriesForSlowFollowers: 2 } });
  await group.bootstrap('m1');
  await group.join('m2');
  await group.join('m3');
  return group;
}

const IN_PARTS = { entryBytesMax: 200, partBytes: 100, partsInFlightMax: 1 };

/** Nodes whose names begin so: about fifty parts of it. */
function large(name: string): { changes: readonly Change[] } {
  return { changes: Array.from({ length: 100 }, (_, i) => putNode(`${name}-${i}` as NodeId)) };
}

test('replicas: over Raft every manager comes to the same state, and followers refuse to write', async (t) => {
  const group = await threeManagers(1000);
  const store = group.storeOf('m1');
  await group.resolved(store.update({ changes: [putNode(N1), putService(S1, specOf('web'))] }));
  const writes = Array.from({ length: 20 }, (_, slot) => store.update({ changes: [createTask(S1, slot)] }));
  await group.resolved(Promise.all(writes));
  t.is((await group.agreed('m1')).length, 1);
  t.is(group.machine('m3').view().tasks.size, 20);
  await t.throwsAsync(group.storeOf('m2').update({ changes: [] }), { code: 'UNAVAILABLE' });
  await group.resolved(group.storeOf('m2').readBarrier());
  await group.close();
});

test('replicas: a manager that was away is brought up by a snapshot, and one that restarts by its own', async (t) => {
  const group = await threeManagers(10);
  const store = group.storeOf('m1');
  await group.resolved(store.update({ changes: [putService(S1, specOf('web'))] }));
  group.kill('m3');
  for (let slot = 1; slot <= 40; slot++)
    await group.resolved(store.update({ changes: [createTask(S1, slot)] }));
  await group.restart('m3');
  t.deepEqual(await group.agreed('m1'), [group.machine('m1').hash()]);
  t.is(group.machine('m3').view().tasks.byService(S1).length, 40);
  group.kill('m2', true);
  await group.restart('m2');
  t.is((await group.agreed('m1')).length, 1);
  await group.close();
});

test('replicas: a write of a leader that was cut off fails, is nowhere, and the others go on', async (t) => {
  const group = await threeManagers(1000);
  const old = group.storeOf('m1');
  await group.resolved(old.update({ changes: [putService(S1, specOf('web'))] }));
  group.network.cutOff('node-m1');
  const lost = t.throwsAsync(old.update({ changes: [createTask(S1, 1)] }), { code: 'UNAVAILABLE' });
  const leaves = (): boolean => !group.consensus('m1').leadership().leading && group.leader() !== undefined;
  await group.until(leaves, 'somebody else leads');
  const next = group.leader()?.name as string;
  await group.resolved(group.storeOf(next).update({ changes: [createTask(S1, 2)] }));
  group.network.heal('node-m1');
  await group.resolved(lost);
  t.is((await group.agreed(next)).length, 1);
  t.deepEqual(
    group
      .machine('m1')
      .view()
      .tasks.byService(S1)
      .map(({ slot }) => slot),
    [2],
  );
  await group.close();
});

test('replicas: a large transaction is whole on every manager, also where one comes back or joins in the middle of it', async (t) => {
  const group = await threeManagers(10);
  const store = group.storeOf('m1', IN_PARTS);
  group.kill('m3');
  const begun = group.machine('m1').version;
  const update = store.update(large('a'));
  const small = Array.from({ length: 5 }, (_, i) => store.update({ changes: [putNode(`b-${i}` as NodeId)] }));
  await group.until(() => group.machine('m2').version > begun + 15, 'some parts are applied');
  t.is((await group.resolved(Promise.all(small))).length, 5);
  group.kill('m2');
  await group.restart('m2');
  await group.restart('m3');
  await group.until(() => group.machine('m3').version > begun + 15, 'm3 has some parts');
  t.is(group.machine('m3').view().nodes.size, 5, 'they have changed nothing yet');
  const version = await group.resolved(update);
  t.deepEqual(await group.agreed('m1'), [group.machine('m1').hash()]);
  const nodes = [...group.machine('m3').view().nodes.all()].filter(({ id }) => id.startsWith('a-'));
  t.is(nodes.length, 100);
  t.true(nodes.every((node) => node.version === version));
  await group.close();
});

test('replicas: a large transaction of a leader that was cut off in the middle of it changes nothing, and is kept by nobody', async (t) => {
  const group = await threeManagers(1000);
  const old = group.storeOf('m1', IN_PARTS);
  const before = group.machine('m1').hash();
  const begun = group.machine('m1').version;
  const lost = t.throwsAsync(old.update(large('a')), { code: 'UNAVAILABLE' });
  await group.until(() => group.machine('m2').version > begun + 15, 'some parts are applied');
  t.not(group.machine('m2').hash(), before, 'they are kept');
  group.network.cutOff('node-m1');
  const leaves = (): boolean => !group.consensus('m1').leadership().leading && group.leader() !== undefined;
  await group.until(leaves, 'somebody else leads');
  const next = group.leader()?.name as string;
  group.network.heal('node-m1');
  await group.resolved(lost);
  t.deepEqual(await group.agreed(next), [before]);
  const version = await group.resolved(group.storeOf(next, IN_PARTS).update(large('c')));
  t.is((await group.agreed(next)).length, 1);
  t.is(group.machine('m1').view().nodes.size, 100);
  t.is(
    group
      .machine('m1')
      .view()
      .nodes.get('c-99' as NodeId)?.version,
    version,
  );
  await group.close();
});
