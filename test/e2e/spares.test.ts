import test from 'ava';
import type { RaftView } from '#manager/api/convert/raft-view.ts';
import { SwarmLab, until } from '#test/support/swarm-lab.ts';

/* A manager is lost: a worker that is named as a spare takes its place by itself. */

/** Until a node is found down, and then as long as the label says. */
const PATIENCE_MS = 300_000;

test('a spare takes the place of a manager that is lost, which comes back as a worker', async (t) => {
  await using lab = await SwarmLab.open('esp', 3, 2);
  const labelled = await lab.docker('m1', 'node', 'update', '--label-add', 'shoal.spare-manager=30', 'w2');
  t.is(labelled.code, 0, labelled.err);
  await lab.kill('m3');
  await until(
    'w2 votes in place of m3',
    async () => {
      const { Quorum, Members } = await lab.client('m1').call<RaftView>('GET', '/shoal/raft');
      const names = Members.map(({ Hostname }) => Hostname).sort();
      return Quorum.Reachable === 3 && Quorum.Voters === 3 && names.join() === 'm1,m2,w2';
    },
    PATIENCE_MS,
  );
  t.is((await lab.nodes('w2')).get('m3')?.Spec.Role, 'worker', 'and answers for the cluster');
  await lab.start('m3');
  await lab.untilNode('m1', 'm3', 'is back as a worker', ({ Status, ManagerStatus }) => {
    return Status.State === 'ready' && ManagerStatus === undefined;
  });
});
