import test from 'ava';
import type { RaftReport } from '#manager/api/raft-status.ts';
import { recoveryPlan } from '#manager/api/recovery-plan.ts';
import type { StoreView } from '#manager/store/view.ts';
import type { NodeId } from '#proto/types/ids.ts';

const LATENCY = { count: 0, p50Ms: 0, p99Ms: 0 };

interface Given {
  readonly id: string;
  /** What it says it knows to be committed; absent: it does not answer. */
  readonly commitIndex?: number;
}

function report(members: readonly Given[], leader?: string): RaftReport {
  const answering = members.filter(({ commitIndex }) => commitIndex !== undefined).length;
  const needed = Math.floor(members.length / 2) + 1;
  return {
    self: 'm1' as NodeId,
    view: { cluster: { id: 'c1' } } as StoreView,
    quorum: { voters: members.length, needed, reachable: answering, missing: [] },
    members: members.map(({ id, commitIndex }, at) => ({
      member: {
        raftId: at + 1,
        nodeId: id as NodeId,
        raftAddr: `${id}:2`,
        controlAddr: `${id}:1`,
        learner: false,
      },
      hostname: id,
      ...(commitIndex !== undefined && { standing: standing(id, commitIndex) }),
    })),
    ...(leader !== undefined && { leader: leader as NodeId }),
  };
}

function standing(nodeId: string, commitIndex: number) {
  const indexes = {
    term: 1,
    commitIndex,
    appliedIndex: commitIndex,
    snapshotIndex: 0,
    diskBytes: 0,
    diskFull: false,
  };
  return { nodeId, leader: '', epoch: 1, fsync: LATENCY, tickLate: LATENCY, ...indexes };
}

test('plan: the one that is left may go on, and is told who goes', (t) => {
  const { refusals, steps } = recoveryPlan(
    report([{ id: 'm1', commitIndex: 9 }, { id: 'm2' }, { id: 'm3' }]),
  );
  t.deepEqual(refusals, []);
  t.regex(steps.join('\n'), /m1 \(m1:1\) goes on alone with cluster c1/);
  t.regex(steps.join('\n'), /9 entries are known/);
  t.regex(steps.join('\n'), /Removed from the managers: m2 \(m2:1\), m3 \(m3:1\)\./);
});

test('plan: with a quorum and a leader there is nothing to recover', (t) => {
  const members = ['m1', 'm2'].map((id) => ({ id, commitIndex: 9 }));
  t.regex(recoveryPlan(report(members, 'm1')).refusals.join(), /there is nothing to recover/);
});

test('plan: a manager that still answers speaks against it, all the more when it knows more', (t) => {
  const behind = recoveryPlan(
    report([{ id: 'm1', commitIndex: 9 }, { id: 'm2', commitIndex: 9 }, { id: 'm3' }, { id: 'm4' }]),
  );
  t.is(behind.refusals.length, 1);
  t.regex(behind.refusals.join(), /Manager m2 \(m2:1\) still answers\. Start the managers that are missing/);
  const ahead = recoveryPlan(
    report([{ id: 'm1', commitIndex: 9 }, { id: 'm2', commitIndex: 12 }, { id: 'm3' }, { id: 'm4' }]),
  );
  t.regex(ahead.refusals.join(), /knows 3 committed entries more than this one: recover there instead/);
});
