import test, { type ExecutionContext } from 'ava';
import { type E2eCluster, withCluster } from '#test/support/e2e.ts';
import { createWeb, runningContainers, runningTasks } from '#test/support/e2e-tasks.ts';
import { waitFor } from '#test/support/wait-for.ts';
import { buildWebImage } from '#test/support/web-image.ts';

const PORT = 8080;
const NO_QUORUM = /The swarm does not have a leader/;

test('a manager leaves and another joins: the token of before is refused, and the cluster stands on the new one', async (t) => {
  await withCluster(t, { managers: 3, workers: 0 }, async (cluster) => {
    const old = await cluster.docker('m1', 'swarm', 'join-token', '-q', 'manager');
    await leaves(t, cluster, 'm3');
    const token = await cluster.docker('m2', 'swarm', 'join-token', '--rotate', '-q', 'manager');
    t.not(token, old);
    const remote = `${cluster.node('m1').address}:2377`;

    const refused = await cluster.try('m3', 'swarm', 'join', '--token', old, remote);
    t.is(refused.code, 1);
    t.regex(refused.err, /A valid join token is necessary to join this cluster/);
    t.is(await cluster.docker('m3', 'info', '-f', '{{.Swarm.LocalNodeState}}'), 'inactive');

    t.regex(
      await cluster.docker('m3', 'swarm', 'join', '--token', token, remote),
      /This node joined a swarm as a manager\./,
    );
    await waitFor('three managers', async () => (await managers(cluster, 'm1')).length === 3);
    await cluster.kill('m1');
    await buildWebImage(cluster, 'm3', '1');
    await waitFor('the other two take changes', () =>
      cluster.docker(
        'm3',
        'service',
        'create',
        '-d',
        '-q',
        '--name',
        'web',
        '--constraint',
        'node.hostname==m3',
        'web:1',
      ),
    );
    await waitFor('the task runs', async () => (await runningTasks(cluster, 'm2', 'web')).length === 1);
  });
});

/** As an operator does it: not while it manages, then demoted, gone, removed. */
async function leaves(t: ExecutionContext, cluster: E2eCluster, name: string): Promise<void> {
  const early = await cluster.try(name, 'swarm', 'leave');
  t.is(early.code, 1);
  t.regex(early.err, /You are attempting to leave the swarm on a node that is participating as a manager/);
  await cluster.docker('m1', 'node', 'demote', name);
  await waitFor(`${name} is a worker`, async () => {
    return (await cluster.docker(name, 'info', '-f', '{{.Swarm.ControlAvailable}}')) === 'false';
  });
  t.regex(await cluster.docker(name, 'swarm', 'leave'), /Node left the swarm\./);
  await waitFor(`${name} can be removed`, () => cluster.docker('m1', 'node', 'rm', name));
  await waitFor('the other two manage', async () => {
    return (await managers(cluster, 'm1')).sort().join() === 'm1,m2';
  });
}

/** Names of the managers that can be reached. */
async function managers(cluster: E2eCluster, seenBy: string): Promise<string[]> {
  const lines = await cluster.lines(seenBy, 'node', 'ls', '--format', '{{.Hostname}} {{.ManagerStatus}}');
  return lines.filter((line) => /(Leader|Reachable)$/.test(line)).map((line) => line.split(' ')[0] ?? '');
}

test('without a quorum the cluster says so, its containers serve on, and it goes on when its managers return', async (t) => {
  await withCluster(t, { managers: 3, workers: 1 }, async (cluster) => {
    await buildWebImage(cluster, 'm1', '1');
    const tasks = await createWeb(cluster, 4, ['--publish', `${PORT}:80`]);
    const containers = await runningContainers(cluster, 'w1');
    await Promise.all([cluster.kill('m2'), cluster.kill('m3')]);

    await saysThatNobodyLeads(t, cluster);
    for (const { name } of cluster.nodes)
      t.is(await waitFor(name, () => cluster.ask(name, PORT)), 'version 1');
    t.deepEqual(await runningContainers(cluster, 'w1'), containers);
    const own = (await runningContainers(cluster, 'm1')).length;
    t.is(
      await cluster.docker('m1', 'info', '-f', '{{.ContainersRunning}} {{.Swarm.LocalNodeState}}'),
      `${own} active`,
    );

    await Promise.all([cluster.start('m2'), cluster.start('m3')]);
    await waitFor('changes are taken again', () =>
      cluster.docker('m1', 'service', 'update', '-d', '-q', '--label-add', 'quorum=back', 'web'),
    );
    await waitFor('three managers', async () => (await managers(cluster, 'm3')).length === 3);
    t.deepEqual(await runningTasks(cluster, 'm3', 'web'), tasks);
    t.deepEqual(await runningContainers(cluster, 'w1'), containers);
  });
});

/** Once the manager that is left knows that it leads no more; before, a request may wait in vain. */
async function saysThatNobodyLeads(t: ExecutionContext, cluster: E2eCluster): Promise<void> {
  await waitFor('m1 knows', async () => NO_QUORUM.test((await cluster.try('m1', 'service', 'ls')).err));
  const commands = ['node ls', 'service create -d web:1', 'network create -d overlay n', 'service rm web'];
  const answers = commands.map((command) => cluster.try('m1', ...command.split(' ')));
  for (const [i, { code, err }] of (await Promise.all(answers)).entries()) {
    const command = commands[i] as string;
    t.is(code, 1, command);
    t.regex(err, NO_QUORUM, command);
  }
}
