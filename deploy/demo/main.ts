/**
 * `npm start`: a real cluster on this machine, and one service's whole life on it, under load.
 *   --once       take everything down at the end; exit 0 only if all converged and no request failed
 *   --json FILE  where the report goes (default: shoal-demo.json in the temporary directory)
 *   --name NAME  of the cluster (default: demo)
 */
import { copyFile, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { down, type LocalCluster, up } from '../local/cluster.ts';
import { METRICS_PORT } from '../local/daemon.ts';
import { type Report, reportOf, tableOf } from './report.ts';
import { type Progress, Scenario, serviceUrl } from './scenario.ts';
import { openScreen, type Screen } from './screen.ts';

const { values: opts } = parseArgs({
  options: {
    once: { type: 'boolean', default: false },
    json: { type: 'string', default: join(tmpdir(), 'shoal-demo.json') },
    name: { type: 'string', default: 'demo' },
  },
});

const OBSERVE_EVERY_MS = 250;
const MANAGERS = 3;
const WORKERS = 2;

const interrupted = new Promise<'interrupted'>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve('interrupted'));
});

/** What is on this machine of an earlier run that was cut off goes first. */
async function main(): Promise<void> {
  await down(opts.name);
  const outcome = await Promise.race([wholeRun(), interrupted]);
  if (outcome !== 'interrupted' && !opts.once && outcome.report.ok) {
    invite(outcome.cluster);
    await interrupted;
  }
  if (outcome !== 'interrupted' && !outcome.report.ok) await keepLogs(outcome.cluster);
  console.log('taking the cluster down …');
  await down(opts.name);
  process.exit(outcome !== 'interrupted' && outcome.report.ok ? 0 : 1);
}

async function wholeRun(): Promise<{ cluster: LocalCluster; report: Report }> {
  let progress: Progress | undefined;
  let cluster: LocalCluster;
  {
    using screen = openScreen('Shoal: a service’s whole life', () => progress);
    const startedAtMs = performance.now();
    cluster = await up({
      name: opts.name,
      managers: MANAGERS,
      workers: WORKERS,
      progress: (step) => screen.say(step),
    });
    await using scenario = new Scenario(cluster);
    progress = scenario.progress;
    progress.phases.push({
      name: `bring up ${MANAGERS} managers and ${WORKERS} workers`,
      startedAtMs,
      endedAtMs: performance.now(),
    });
    await play(scenario, cluster, screen);
  }
  const report = reportOf(progress);
  await writeFile(opts.json, `${JSON.stringify(report, null, 2)}\n`);
  console.log(`\n${tableOf(report)}\nthe same as JSON: ${opts.json}`);
  return { cluster, report };
}

async function play(scenario: Scenario, cluster: LocalCluster, screen: Screen): Promise<void> {
  screen.say(`dashboard: ${dashboardUrl(cluster)}`);
  const observing = setInterval(() => void scenario.observe(), OBSERVE_EVERY_MS);
  try {
    await scenario.run();
  } catch (error) {
    screen.say(`failed: ${(error as Error).message}`);
  } finally {
    clearInterval(observing);
  }
}

/** What the daemons said goes where it outlives the cluster, for whoever wants to know why. */
async function keepLogs(cluster: LocalCluster): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'shoal-demo-logs-'));
  for (const { name, logFile } of cluster.nodes) await copyFile(logFile, join(folder, `${name}.log`));
  console.log(`the logs of the daemons are kept in ${folder}`);
}

/** Of another manager than the first: that one leads, and is killed meanwhile. */
function dashboardUrl(cluster: LocalCluster): string {
  return `http://${cluster.nodes[1]?.address}:${METRICS_PORT}/`;
}

function invite(cluster: LocalCluster): void {
  const [first] = cluster.nodes;
  console.log(`
The cluster stays up until Ctrl-C. Try it:
  export DOCKER_HOST=unix://${first?.socket}
  docker node ls
  docker service ps web
  docker service scale web=20
  curl ${serviceUrl(cluster)}
and watch it live: ${dashboardUrl(cluster)}`);
}

await main();
