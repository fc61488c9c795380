import type { E2eCluster } from './e2e.ts';

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
