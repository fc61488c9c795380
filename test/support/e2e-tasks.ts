import type { E2eCluster } from './e2e.ts';
import { waitFor } from './wait-for.ts';

/** Creates the service `web` of `web:1`; resolves with its running tasks as soon as all of them run. */
export async function createWeb(
  cluster: E2eCluster,
  replicas: number,
  opts: readonly string[],
): Promise<string[]> {
  const args = ['--name', 'web', '--replicas', String(replicas), ...opts, 'web:1'];
  await cluster.docker('m1', 'service', 'create', '-d', '-q', ...args);
  return waitFor('all tasks run', async () => {
    const tasks = await runningTasks(cluster, 'm1', 'web');
    return tasks.length === replicas && tasks;
  });
}

/** Ids of the service's tasks that run and are meant to, in order. */
export async function runningTasks(cluster: E2eCluster, node: string, service: string): Promise<string[]> {
  const format = '{{.ID}} {{.CurrentState}}';
  const filter = ['--filter', 'desired-state=running'];
  const lines = await cluster.lines(
    node,
    'service',
    'ps',
    '--no-trunc',
    ...filter,
    '--format',
    format,
    service,
  );
  const running = lines.map((line) => line.split(' ')).filter(([, state]) => state === 'Running');
  return running.map(([id]) => id ?? '').sort();
}

/** Containers that run on the node, each with its process and the moment it was started. */
export async function runningContainers(cluster: E2eCluster, node: string): Promise<string[]> {
  const ids = await cluster.lines(node, 'ps', '-q', '--no-trunc');
  if (ids.length === 0) return [];
  const format = '{{.ID}} {{.State.Pid}} {{.State.StartedAt}}';
  return (await cluster.lines(node, 'inspect', '-f', format, ...ids)).sort();
}
