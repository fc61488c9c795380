import test from 'ava';
import type { RaftView } from '#manager/api/convert/raft-view.ts';
import { SwarmLab, until } from '#test/support/swarm-lab.ts';

/* Two of three managers are lost for good: the third goes on with the cluster. */

const isManager = ({ ManagerStatus }: { ManagerStatus?: { Reachability: string } }): boolean =>
  ManagerStatus?.Reachability === 'reachable';

test('a manager that is left goes on alone; workers follow, and the lost managers come back as workers', async (t) => {
  await using lab = await SwarmLab.open('erv', 3, 1);
  const made = await lab.docker('m1', 'network', 'create', '-d', 'overlay', 'kept');
  t.is(made.code, 0, made.err);
  for (const name of ['m1', 'm2', 'm3'])
    await lab.untilNode('m3', name, 'is known by name', ({ Status }) => Status.State === 'ready');
  await lab.kill('m1');
  await lab.kill('m2');

  const refused = await lab.docker('m3', 'node', 'update', '--label-add', 'a=b', 'w1');
  t.regex(refused.err, /The swarm does not have a leader[\s\S]*shoal swarm recover/);
  const dry = await lab.shoal('m3', 'swarm', 'recover', '--dry-run');
  t.regex(dry.out, /m3 .* goes on alone[\s\S]*Removed from the managers: m1 .*, m2/);

  const recovered = await lab.shoal('m3', 'swarm', 'recover', '--yes');
  t.is(recovered.code, 0, recovered.err);
  t.regex((await lab.docker('m3', 'network', 'ls')).out, /kept/, 'what was there is there');
  await lab.untilNode('m3', 'w1', 'follows', ({ Status }) => Status.State === 'ready');
  t.is((await lab.docker('m3', 'node', 'update', '--label-add', 'a=b', 'w1')).code, 0);

  await lab.start('m1');
  await lab.untilNode('m3', 'm1', 'returns as a worker', ({ Status, Spec, ManagerStatus }) => {
    return Status.State === 'ready' && Spec.Role === 'worker' && ManagerStatus === undefined;
  });
  await until('m1 knows that it is a worker', async () => {
    return /Is Manager: false/.test((await lab.docker('m1', 'info')).out);
  });
  t.is((await lab.docker('m3', 'node', 'promote', 'm1')).code, 0);
  await until('m1 votes again', async () => {
    const { Quorum } = await lab.client('m3').call<RaftView>('GET', '/shoal/raft');
    return Quorum.Voters === 2 && Quorum.Reachable === 2;
  });

  // The same again, with the command that people know from Docker.
  await lab.kill('m1');
  await until('m3 has no quorum', async () => (await lab.docker('m3', 'node', 'ls')).code !== 0);
  const forced = await lab.docker('m3', 'swarm', 'init', '--force-new-cluster');
  t.is(forced.code, 0, forced.err);
  t.regex((await lab.docker('m3', 'network', 'ls')).out, /kept/);
  t.false(isManager((await lab.nodes('m3')).get('m1') ?? {}));
});

test('recovering is refused while there is a quorum, and by who manages nothing', async (t) => {
  await using lab = await SwarmLab.open('erf', 1, 1);
  const whole = await lab.shoal('m1', 'swarm', 'recover', '--yes');
  t.is(whole.code, 1);
  t.regex(whole.out + whole.err, /there is nothing to recover/);
  const worker = await lab.shoal('w1', 'swarm', 'recover', '--yes');
  t.is(worker.code, 1);
  t.regex(worker.err, /This node is not a swarm manager/);
  t.regex(
    (await lab.docker('w1', 'swarm', 'init', '--force-new-cluster')).err,
    /only a manager can go on with the swarm alone/,
  );
});
