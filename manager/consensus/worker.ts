import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '#proto/base/assert.ts';
import { systemClock } from '#proto/base/clock.ts';
import { systemRandom } from '#proto/base/random.ts';
import { HeldIdentity } from '#proto/rpc/identity.ts';
import { lineDialer, listenLines } from '#proto/rpc/lines.ts';
import { Core } from './core.ts';
import { machineDisk } from './disk.ts';
import { LineTransport } from './line-transport.ts';
import { type CorePort, failureOf, type ToCore } from './protocol.ts';
import { release } from './release.ts';
import type { FromWorker, ToWorker, WorkerStart } from './worker-protocol.ts';
import { ForwardedMetrics, forwardedLog } from './worker-telemetry.ts';

/*
 * The thread in which Raft lives, with its disk and its connections: nothing that the main thread does, and no garbage
 * of the store, holds up a heartbeat. Started by startConsensus.
 */

const METRICS_EVERY_MS = 1_000;
/** Nice value of this thread: containers that take all the processor must not make managers elect. */
const PRIORITY = -10;

const { opts, listen, identity, port } = workerData as WorkerStart;
assert(parentPort !== null, 'this file is run as a worker');
const parent = parentPort;
const post = (message: FromWorker): void => parent.postMessage(message);
const log = forwardedLog(post);
const metrics = new ForwardedMetrics(post);
const held = new HeldIdentity(identity);
const closing = new AsyncDisposableStack();

const corePort: CorePort = {
  post: (message, handOver) => port.postMessage(message, handOver === undefined ? [] : [...handOver]),
  onMessage: (receive) =>
    void port.on('message', (message: ToCore) => {
      receive(message);
      // It came from another thread, and is written now.
      if (message.kind === 'snapshot-piece') release(message.piece);
    }),
};

parent.on('message', (message: ToWorker) => {
  if (message.kind === 'identity') held.set(message.identity);
  else void close();
});

raisePriority();
await start().catch((error: unknown) => corePort.post({ kind: 'failed', failure: failureOf(error) }));

/** On Linux this is the calling thread's own priority. Without the right to it we do without. */
function raisePriority(): void {
  try {
    setPriority(PRIORITY);
  } catch (error) {
    log.debug('the Raft thread runs at the usual priority', { err: error });
  }
}

async function start(): Promise<void> {
  const flushing = setInterval(() => metrics.flush(), METRICS_EVERY_MS);
  closing.defer(() => clearInterval(flushing));
  const wire = { identity: held, clock: systemClock, log };
  const lines = lineDialer(wire);
  const server = closing.use(await listenLines(listen, wire));
  const modules = { clock: systemClock, random: systemRandom, log, metrics };
  const core = await Core.start(
    opts,
    {
      ...modules,
      disk: machineDisk,
      soon: (work) => void setImmediate(work),
      startTransport: async (self, events) => new LineTransport(self, events, { ...modules, server, lines }),
    },
    corePort,
  );
  closing.use(core);
}

async function close(): Promise<void> {
  await closing.disposeAsync();
  metrics.flush();
  port.close();
  parent.close();
}
