import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { attachUpgrade } from '#agent/api/attach-socket.ts';
import { systemClock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';
import { systemRandom } from '#proto/base/random.ts';
import { type Listen, serveApi } from '#proto/http/server.ts';
import { hostPortOf } from './addresses.ts';
import { nodeRoutes } from './api.ts';
import { lockDataRoot } from './data-root-lock.ts';
import type { DaemonOpts } from './flags.ts';
import { openLog } from './log.ts';
import { openMachine } from './machine.ts';
import { keepMemorySmall } from './memory.ts';
import type { MetricsRegistry } from './metrics.ts';
import { PeersSwitch } from './peers-switch.ts';
import { SwarmPart } from './swarm-part.ts';
import { remapped } from './userns-remap.ts';

/** Runs a node until it is told to stop: the composition root of the daemon. */
export async function runDaemon(opts: DaemonOpts): Promise<void> {
  const log = openLog(opts.logLevel);
  const ended = Promise.withResolvers<void>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => ended.resolve());
  await using _node = await startNode(opts, log, (error) => ended.reject(error));
  log.info('ready', { hosts: opts.hosts });
  await ended.promise;
  log.info('stopping');
}

/** Starts all parts in order; disposing of what it gives stops them in reverse, and leaves containers running. */
async function startNode(
  given: DaemonOpts,
  log: Log,
  onFailure: (error: Error) => void,
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  stack.use(lockDataRoot(given.dataRoot));
  stack.use(writePidFile(given.pidFile));
  const opts = remapped(given, log);
  const metrics = metricsWhenAsked();
  const shared = { clock: systemClock, random: systemRandom, log };
  const peers = new PeersSwitch();
  let swarm: SwarmPart | undefined;
  const machine = stack.use(
    await openMachine(opts, { ...shared, peers, dataPathAddr: () => swarm?.node?.dataPathAddr }),
  );
  swarm = stack.use(new SwarmPart(opts, { ...shared, machine, metrics, onFailure, peers }));
  await swarm.resume();
  const routes = nodeRoutes({ ...shared, machine, swarm });
  const listen = opts.hosts.map((host) => listenOf(host, opts));
  stack.use(await serveApi({ listen, routes, upgrade: attachUpgrade(machine) }, { log }));
  await maybeServeDashboard(opts, metrics, swarm, stack);
  stack.use(keepMemorySmall(log));
  return stack.move();
}

/** Neither counted nor loaded before somebody can ask for them. */
function metricsWhenAsked(): () => Promise<MetricsRegistry> {
  let opened: Promise<MetricsRegistry> | undefined;
  return () => {
    opened ??= import('./metrics.ts').then(({ openMetrics }) => openMetrics());
    return opened;
  };
}

async function maybeServeDashboard(
  opts: DaemonOpts,
  metrics: () => Promise<MetricsRegistry>,
  swarm: SwarmPart,
  stack: AsyncDisposableStack,
): Promise<void> {
  if (opts.metricsAddr === undefined) return;
  const where = hostPortOf(opts.metricsAddr);
  const { serveDashboard } = await import('#manager/dashboard/server.ts');
  const registry = await metrics();
  const feed = () => swarm.node?.manager?.feed;
  stack.use(await serveDashboard(where, { metrics: () => registry.scrape(), feed }));
}

/** `unix:///path` or `tcp://host:port`, as dockerd's -H. */
function listenOf(host: string, opts: DaemonOpts): Listen {
  const url = URL.canParse(host) ? new URL(host) : undefined;
  if (url?.protocol === 'unix:') return { kind: 'unix', path: url.pathname };
  if (url?.protocol !== 'tcp:') {
    throw new ShoalError(
      'INVALID_ARGUMENT',
      `invalid host ${host}: unix:///path or tcp://address:port is expected`,
    );
  }
  const port = url.port === '' ? (opts.tls ? 2376 : 2375) : Number(url.port);
  return { kind: 'tcp', host: url.hostname, port, ...tlsOf(opts) };
}

function tlsOf({ tls }: DaemonOpts): Pick<Extract<Listen, { kind: 'tcp' }>, 'tls'> {
  if (tls === undefined) return {};
  const read = (path: string): string => readFileSync(path, 'utf8');
  const ca = tls.verify && tls.caFile !== undefined ? { ca: read(tls.caFile) } : {};
  return { tls: { cert: read(tls.certFile), key: read(tls.keyFile), ...ca } };
}

/** Refuses where another daemon that wrote the file still runs. */
function writePidFile(path: string): Disposable {
  const other = pidIn(path);
  if (other !== undefined && isDaemon(other)) {
    throw new ShoalError('CONFLICT', `pid file found, ensure shoald is not running or delete ${path}`);
  }
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, String(process.pid));
  return { [Symbol.dispose]: () => rmSync(path, { force: true }) };
}

function pidIn(path: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(path, 'utf8'), 10);
  } catch {
    return undefined;
  }
}

/** The number may be some other process's by now. */
function isDaemon(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('shoald');
  } catch {
    return false;
  }
}
