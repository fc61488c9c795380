import test, { type ExecutionContext } from 'ava';
import { LoadMeter } from '#deploy/demo/load-meter.ts';
import { type E2eCluster, withCluster } from '#test/support/e2e.ts';
import { waitFor } from '#test/support/wait-for.ts';
import { buildWebImage } from '#test/support/web-image.ts';

const PORT = 8080;
/** Requests a second at each of the five nodes. */
const LOAD_PER_NODE = 20;
const REPLICAS = { first: 3, scaled: 6 };

test('the whole path: built on one node, served by all, updated and rolled back under load with the leader killed, drained, removed without a trace', async (t) => {
  await withCluster(t, { managers: 3, workers: 2 }, async (cluster) => {
    await builds(t, cluster);
    await deploys(t, cluster);
    await isReached(t, cluster);
    await using load = new LoadMeter(
      cluster.nodes.map(({ address }) => `http://${address}:${PORT}/`),
      LOAD_PER_NODE,
    );
    await scales(t, cluster);
    await updatesWithoutItsLeader(t, cluster);
    await rollsBack(t, cluster);
    await drains(t, cluster);
    const { sent, answered, failed, lastFailure } = await load.finish();
    t.is(failed, 0, lastFailure ?? '');
    t.is(answered, sent);
    t.true(sent > 0);
    await tellsWhatItDid(t, cluster);
    await promotesAndDemotes(t, cluster);
    await letsANodeGoAndComeBack(t, cluster);
    await removesEverything(t, cluster);
  });
});

/** Both versions on one worker: every other node gets them from it. */
async function builds(t: ExecutionContext, cluster: E2eCluster): Promise<void> {
  for (const version of ['1', '2']) await buildWebImage(cluster, 'w1', version);
  const images = await cluster.lines('w1', 'images', '--format', '{{.Repository}}:{{.Tag}}', 'web');
  t.deepEqual(images.sort(), ['web:1', 'web:2']);
  t.deepEqual(await cluster.lines('m1', 'images', '-q', 'web'), []);
}

async function deploys(t: ExecutionContext, cluster: E2eCluster): Promise<void> {
  await cluster.docker('m1', 'network', 'create', '-d', 'overlay', 'net');
  const out = await cluster.docker(
    ...['m2', 'service', 'create', '--name', 'web', '--replicas', String(REPLICAS.first), '--network', 'net'],
    ...['--publish', `${PORT}:80`, '--update-order', 'start-first', '--update-parallelism', '2'],
    ...['--update-monitor', '1s', '--rollback-order', 'start-first', '--rollback-monitor', '1s', 'web:1'],
  );
  t.regex(out, /^[a-z0-9]{25}\n[\s\S]*converged/);
  await cluster.docker(
    ...['m1', 'service', 'create', '-q', '--name', 'client', '--mode', 'global', '--network', 'net'],
    ...['--stop-grace-period', '1s', 'web:1', 'sleep', '9999'],
  );
}

/** On every node's port, and from another service's task on every node by name and by virtual address. */
async function isReached(t: ExecutionContext, cluster: E2eCluster): Promise<void> {
  const addresses = '{{range .Endpoint.VirtualIPs}}{{.Addr}} {{end}}';
  const vips = (await cluster.docker('m3', 'service', 'inspect', '-f', addresses, 'web')).trim().split(' ');
  const network = await cluster.docker(
    'm3',
    'network',
    'inspect',
    '-f',
    '{{(index .IPAM.Config 0).Subnet}}',
    'net',
  );
  const vip =
    vips.map((address) => address.split('/')[0] ?? '').find((address) => sameSubnet(address, network)) ?? '';
  for (const { name } of cluster.nodes) {
    t.is(await waitFor(`${name} answers`, () => cluster.ask(name, PORT)), 'version 1');
    const client = await containerOf(cluster, name, 'client');
    t.regex(await cluster.docker(name, 'exec', client, 'nslookup', 'web'), new RegExp(`Address.*${vip}`));
    for (const host of ['web', vip, 'tasks.web'])
      t.is(await cluster.docker(name, 'exec', client, 'wget', '-qO-', `http://${host}/`), 'version 1');
  }
}

/** Both are of a /24. */
function sameSubnet(address: string, subnet: string): boolean {
  return address.split('.').slice(0, 3).join('.') === subnet.split('.').slice(0, 3).join('.');
}

async function containerOf(cluster: E2eCluster, node: string, service: string): Promise<string> {
  const filter = `label=com.docker.swarm.service.name=${service}`;
  const [id] = await cluster.lines(node, 'ps', '-q', '--filter', filter);
  if (id === undefined) throw new Error(`${node} runs no container of ${service}`);
  return id;
}

async function scales(t: ExecutionContext, cluster: E2eCluster): Promise<void> {
  const out = await cluster.docker('m1', 'service', 'scale', `web=${REPLICAS.scaled}`);
  t.regex(out, /web scaled to 6[\s\S]*converged/);
  t.is(await replicasOf(cluster, 'm3', 'web'), '6/6');
}

function replicasOf(cluster: E2eCluster, node: string, service: string): Promise<string> {
  return cluster.docker(node, 'service', 'ls', '--filter', `name=${service}`, '--format', '{{.Replicas}}');
}

/** The leader dies when the first tasks of the new version run, and comes back when another leads. */
async function updatesWithoutItsLeader(t: ExecutionContext, cluster: E2eCluster): Promise<void> {
  const leader = await waitFor('a manager leads', () => cluster.leader('m1'));
  const other = leader === 'm1' ? 'm2' : 'm1';
  await cluster.docker(other, 'service', 'update', '-d', '--image', 'web:2', 'web');
  await waitFor('the first tasks of the new version run', async () => {
    return (await runningImages(cluster, other)).includes('web:2');
  });
  await cluster.kill(leader);
  await waitFor('another manager takes changes', () =>
    cluster.docker(other, 'service', 'update', '-d', '--label-add', `without=${leader}`, 'client'),
  );
  await cluster.start(leader);
  await settles(cluster, other, 'web:2', 'completed');
  // A task is kept running until every node sends its requests elsewhere: the one that just came back is the last.
  await serves(t, cluster, leader, 'version 2');
}

/** Every request is answered, by this version in the end. */
async function serves(
  t: ExecutionContext,
  cluster: E2eCluster,
  node: string,
  version: string,
): Promise<void> {
  await waitFor(`${node} sends its requests to ${version}`, async () => {
    const answer = await cluster.ask(node, PORT);
    t.regex(answer, /^version [12]$/);
    return answer === version;
  });
}

async function rollsBack(t: ExecutionContext, cluster: E2eCluster): Promise<void> {
  await cluster.docker('m2', 'service', 'rollback', '-d', 'web');
  await settles(cluster, 'm2', 'web:1', 'rollback_completed');
  await serves(t, cluster, 'w2', 'version 1');
}

/** All replicas run this image, and the service says that its update has this end. */
async function settles(cluster: E2eCluster, node: string, image: string, state: string): Promise<void> {
  await waitFor(`web is ${state} with ${image}`, async () => {
    if ((await cluster.docker(node, 'service', 'inspect', '-f', '{{.UpdateStatus.State}}', 'web')) !== state)
      return false;
    const running = await runningImages(cluster, node);
    return running.length === REPLICAS.scaled && running.every((one) => one === image);
  });
}

async function runningImages(cluster: E2eCluster, node: string): Promise<string[]> {
  const format = '{{.Image}} {{.CurrentState}}';
  const args = ['service', 'ps', '--filter', 'desired-state=running', '--format', format, 'web'];
  const lines = await cluster.lines(node, ...args);
  return lines.filter((line) => line.split(' ')[1] === 'Running').map((line) => line.split(' ')[0] ?? '');
}

async function drains(t: ExecutionContext, cluster: E2eCluster): Promise<void> {
  await cluster.docker('m3', 'node', 'update', '--availability', 'drain', 'w1');
  await waitFor('w1 runs nothing', async () => (await cluster.lines('w1', 'ps', '-q')).length === 0);
  await waitFor('the others run all', async () => (await replicasOf(cluster, 'm3', 'web')) === '6/6');
  t.deepEqual(await cluster.lines('m3', 'node', 'ps', '--filter', 'desired-state=running', 'w1', '-q'), []);
  t.is(await cluster.ask('w1', PORT), 'version 1');
  await cluster.docker('m3', 'node', 'update', '--availability', 'active', 'w1');
}

async function tellsWhatItDid(t: ExecutionContext, cluster: E2eCluster): Promise<void> {
  const logs = await cluster.lines('m1', 'service', 'logs', 'web');
  t.true(logs.length >= REPLICAS.scaled);
  for (const line of logs) t.regex(line, /^web\.[1-6]\.[a-z0-9]{12}@[mw][1-3]\s+\| serving version [12]$/);
  for (const { name } of cluster.nodes.slice(0, 3))
    t.deepEqual(await cluster.lines(name, 'service', 'logs', 'client'), [], 'who said nothing has no logs');
  const history = await cluster.lines(
    'm2',
    'service',
    'ps',
    '--format',
    '{{.Name}} {{.DesiredState}}',
    'web',
  );
  t.is(history.filter((line) => / Running$/.test(line)).length, REPLICAS.scaled);
  t.true(
    history.some((line) => / Shutdown$/.test(line)),
    'tasks of before are told',
  );
  const format = '{{.Spec.Mode.Replicated.Replicas}} {{.PreviousSpec.TaskTemplate.ContainerSpec.Image}}';
  t.regex(
    await cluster.docker('m3', 'service', 'inspect', '-f', format, 'web'),
    /^6 web:2@sha256:[0-9a-f]{64}$/,
  );
  t.regex(await cluster.docker('m3', 'service', 'inspect', '--pretty', 'web'), /State:\s+rollback_completed/);
}

async function promotesAndDemotes(t: ExecutionContext, cluster: E2eCluster): Promise<void> {
  t.regex(await cluster.docker('m1', 'node', 'promote', 'w2'), /Node w2 promoted to a manager in the swarm/);
  await waitFor(
    'w2 answers as a manager',
    async () => (await cluster.lines('w2', 'node', 'ls', '-q')).length === 5,
  );
  await waitFor('four manage', async () => (await managers(cluster)).length === 4);
  t.regex(await cluster.docker('m2', 'node', 'demote', 'w2'), /Manager w2 demoted in the swarm/);
  await waitFor('w2 is a worker', async () => {
    return (await cluster.docker('w2', 'info', '-f', '{{.Swarm.ControlAvailable}}')) === 'false';
  });
  await waitFor('the other three manage', async () => {
    return (await managers(cluster)).sort().join() === 'm1,m2,m3';
  });
}

/** Names of the nodes that say how they stand as managers. */
async function managers(cluster: E2eCluster): Promise<string[]> {
  const lines = await cluster.lines('m1', 'node', 'ls', '--format', '{{.Hostname}} {{.ManagerStatus}}');
  return lines.filter((line) => /(Leader|Reachable)$/.test(line)).map((line) => line.split(' ')[0] ?? '');
}

async function letsANodeGoAndComeBack(t: ExecutionContext, cluster: E2eCluster): Promise<void> {
  await cluster.docker('m1', 'node', 'update', '--label-add', 'disk=fast', 'w2');
  const about = '{{.Spec.Labels.disk}} {{.Spec.Role}} {{.Status.State}} {{.Description.Hostname}}';
  t.is(await cluster.docker('m2', 'node', 'inspect', '-f', about, 'w2'), 'fast worker ready w2');
  t.true((await cluster.lines('m1', 'node', 'ps', 'w2', '-q')).length > 0);
  t.regex(await cluster.docker('w2', 'swarm', 'leave'), /Node left the swarm\./);
  await waitFor('w2 is down', async () => {
    return (await cluster.docker('m1', 'node', 'inspect', '-f', '{{.Status.State}}', 'w2')) === 'down';
  });
  await waitFor('w2 stopped its tasks', async () => (await cluster.lines('w2', 'ps', '-q')).length === 0);
  t.is(await cluster.docker('m1', 'node', 'rm', 'w2'), 'w2');
  const token = await cluster.docker('m1', 'swarm', 'join-token', '-q', 'worker');
  const joined = await cluster.docker(
    'w2',
    'swarm',
    'join',
    '--token',
    token,
    `${cluster.node('m1').address}:2377`,
  );
  t.regex(joined, /This node joined a swarm as a worker\./);
  await waitFor(
    'w2 is one of five',
    async () => (await cluster.lines('m1', 'node', 'ls', '-q')).length === 5,
  );
  t.is(await waitFor('w2 serves again', () => cluster.ask('w2', PORT)), 'version 1');
}

async function removesEverything(t: ExecutionContext, cluster: E2eCluster): Promise<void> {
  t.deepEqual((await cluster.lines('m2', 'service', 'rm', 'web', 'client')).sort(), ['client', 'web']);
  await waitFor('the network can go', () => cluster.docker('m1', 'network', 'rm', 'net'));
  for (const { name } of cluster.nodes) {
    await waitFor(
      `${name} has no container`,
      async () => (await cluster.lines(name, 'ps', '-aq')).length === 0,
    );
    await waitFor(`${name} answers no more`, async () => {
      return (await cluster.ask(name, PORT).catch(() => 'no answer')) === 'no answer';
    });
    await waitFor(`${name} has no such network`, async () => {
      return (await cluster.lines(name, 'network', 'ls', '-q', '--filter', 'name=^net$')).length === 0;
    });
  }
}
