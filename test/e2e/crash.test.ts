import { isDeepStrictEqual } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { LoadMeter } from '#deploy/demo/load-meter.ts';
import { type E2eCluster, withCluster } from '#test/support/e2e.ts';
import { createWeb, runningContainers, runningTasks } from '#test/support/e2e-tasks.ts';
import { nodeState } from '#test/support/node-state.ts';
import { waitFor } from '#test/support/wait-for.ts';
import { buildWebImage } from '#test/support/web-image.ts';

const PORT = 8080;
const LOAD_PER_NODE = 20;
/** Changes that are acknowledged before the crash, at least. */
const CHANGES_MIN = 8;
const CHANGES_MAX = 200;
/** Requests that are answered while a daemon is dead, and as many when it is back. */
const REQUESTS_MIN = 60;

test('every daemon killed at once: the containers live on, and the cluster comes back with the same tasks and every change that was acknowledged', async (t) => {
  await withCluster(t, { managers: 3, workers: 1 }, async (cluster) => {
    await buildWebImage(cluster, 'm1', '1');
    const tasks = await serveWeb(cluster, 4);
    const containers = await containersOfAll(cluster);

    const writer = new Writer(cluster, 'm2');
    await waitFor('changes are acknowledged', () => writer.acknowledged.size >= CHANGES_MIN);
    await Promise.all(cluster.nodes.map(({ name }) => cluster.kill(name)));
    await writer.ended;
    for (const { name } of cluster.nodes)
      t.is(await cluster.ask(name, PORT), 'version 1', `${name}, without a daemon`);

    await Promise.all(cluster.nodes.map(({ name }) => cluster.start(name)));
    await waitFor('all nodes are ready', () => cluster.allReady('m3'));
    await holdsWhatWasSaid(t, cluster, writer);
    t.deepEqual(await runningTasks(cluster, 'm1', 'web'), tasks, 'the tasks are the same');
    t.deepEqual(await containersOfAll(cluster), containers, 'the containers are the same, and never ended');
    for (const { name } of cluster.nodes)
      t.is(await waitFor(name, () => cluster.ask(name, PORT)), 'version 1');
  });
});

test('a worker’s daemon killed and started again: its containers and their traffic are untouched, and nothing outlives the service', async (t) => {
  await withCluster(t, { managers: 1, workers: 1 }, async (cluster) => {
    await buildWebImage(cluster, 'm1', '1');
    await buildWebImage(cluster, 'w1', '2');
    // The default bridge is made when it is first needed, and stays.
    await cluster.docker('m1', 'run', '--rm', 'web:1', 'true');
    await cluster.docker('w1', 'run', '--rm', 'web:2', 'true');
    const empty = await statesOf(cluster);
    const tasks = await serveWeb(cluster, 3, ['--constraint', 'node.role==worker']);
    const containers = await containersOfAll(cluster);
    const serving = await nodeState(cluster.node('m1'));
    t.true(
      serving.tables?.some((line) => line.includes(`${PORT}`)),
      'what is compared shows ports',
    );
    const urls = cluster.nodes.map(({ address }) => `http://${address}:${PORT}/`);
    await using load = new LoadMeter(urls, LOAD_PER_NODE);
    await answers(load);
    await cluster.kill('w1');
    await answers(load);
    await cluster.start('w1');
    await waitFor('w1 is ready', () => cluster.allReady('m1'));
    await answers(load);
    const { sent, answered, failed, lastFailure } = await load.finish();
    t.is(failed, 0, lastFailure ?? '');
    t.is(answered, sent);
    t.deepEqual(await runningTasks(cluster, 'm1', 'web'), tasks);
    t.deepEqual(await containersOfAll(cluster), containers);
    await cluster.docker('m1', 'service', 'rm', 'web');
    await waitFor(
      'the containers are gone',
      async () => (await cluster.lines('w1', 'ps', '-aq')).length === 0,
    );
    const cleared = async (): Promise<boolean> => isDeepStrictEqual(await statesOf(cluster), empty);
    await waitFor('nothing is left', cleared).catch(() => undefined);
    t.deepEqual(await statesOf(cluster), empty);
  });
});

async function statesOf(cluster: E2eCluster): Promise<Record<string, unknown>> {
  const entries = cluster.nodes.map(async (node) => [node.name, await nodeState(node)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

/** Runs `web:1`, which is on m1; gives the ids of its tasks. */
async function serveWeb(
  cluster: E2eCluster,
  replicas: number,
  opts: readonly string[] = [],
): Promise<string[]> {
  const tasks = await createWeb(cluster, replicas, ['--publish', `${PORT}:80`, ...opts]);
  for (const { name } of cluster.nodes) await waitFor(`${name} serves`, () => cluster.ask(name, PORT));
  return tasks;
}

async function containersOfAll(cluster: E2eCluster): Promise<Record<string, string[]>> {
  const entries = cluster.nodes.map(
    async ({ name }) => [name, await runningContainers(cluster, name)] as const,
  );
  return Object.fromEntries(await Promise.all(entries));
}

/** So many more requests are answered. */
async function answers(load: LoadMeter): Promise<void> {
  const enough = load.counts.answered + REQUESTS_MIN;
  await waitFor('requests are answered', () => load.counts.answered >= enough);
}

/** Creates a service and labels it, one after the other, until the daemon it talks to is gone. */
class Writer {
  /** Services whose creation was acknowledged, with the label that was. */
  readonly acknowledged = new Map<string, string>();
  readonly ended: Promise<void>;

  constructor(cluster: E2eCluster, node: string) {
    this.ended = this.#write(cluster, node);
  }

  async #write(cluster: E2eCluster, node: string): Promise<void> {
    for (let i = 0; i < CHANGES_MAX; i++) {
      const name = `s${i}`;
      const created = await cluster.try(
        node,
        ...`service create -d -q --replicas 0 --name ${name} web:1`.split(' '),
      );
      if (created.code !== 0) return;
      this.acknowledged.set(name, '');
      const labelled = await cluster.try(
        node,
        ...`service update -d -q --label-add written=${i} ${name}`.split(' '),
      );
      if (labelled.code !== 0) return;
      this.acknowledged.set(name, String(i));
    }
  }
}

/** A label that was asked for and not acknowledged may be there, or not. */
async function holdsWhatWasSaid(t: ExecutionContext, cluster: E2eCluster, writer: Writer): Promise<void> {
  const format = '{{.Spec.Name}} {{.Spec.Labels.written}}';
  const names = [...writer.acknowledged.keys()];
  const lines = await cluster.lines('m1', 'service', 'inspect', '-f', format, ...names);
  t.is(lines.length, names.length);
  for (const [i, [name, label]] of [...writer.acknowledged].entries()) {
    if (label === '') t.true(lines[i]?.startsWith(`${name} `));
    else t.is(lines[i], `${name} ${label}`);
  }
}
