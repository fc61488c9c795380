import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { systemClock } from '#proto/base/clock.ts';
import type { Log } from '#proto/base/log.ts';
import type { Metrics } from '#proto/base/metrics.ts';
import type { IdentitySource } from '#proto/rpc/types.ts';
import type { Consensus, KeepsFiles, StateMachine } from './consensus.ts';
import { Face } from './face.ts';
import { type ConsensusLimits, DEFAULT_LIMITS, type SelfOpts, type StartOpts } from './opts.ts';
import type { HostPort } from './protocol.ts';
import { paced } from './turns.ts';
import type { FromWorker, ListenOpts, ToWorker, WorkerStart } from './worker-protocol.ts';
import { receiveTelemetry } from './worker-telemetry.ts';

/** The Raft loop makes little garbage that lasts; a larger nursery keeps its pauses rare. */
const WORKER_YOUNG_MB = 64;
/** How long the worker may take to close its connections before it is ended. */
const CLOSE_GRACE_MS = 3_000;

export interface ConsensusOpts {
  /** Holds the keys, the log and the snapshots of this manager alone. */
  readonly stateDir: string;
  readonly self: SelfOpts;
  /** Where its Raft transport listens; `self.raftAddr` is how the others reach it. */
  readonly listen: ListenOpts;
  readonly start: StartOpts;
  /** With `restart`: the other managers are gone for good, this one goes on alone with all that it has. */
  readonly forceNewCluster?: boolean;
  /** What this manager's keys are locked with, where they are. */
  readonly lock?: Uint8Array;
  readonly limits?: Partial<ConsensusLimits>;
}

export interface ConsensusModules {
  readonly identity: IdentitySource;
  readonly stateMachine: StateMachine;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Told once when consensus stopped because something is broken; nothing works from then on, so the node should end. */
  readonly onFailure: (error: Error) => void;
}

/**
 * Starts consensus in a thread of its own, and resolves when what is on disk has been restored. Throws
 * FAILED_PRECONDITION when the state is damaged or another manager's, CONFLICT when there is state where none should be,
 * NOT_FOUND when there is none where some should be, UNAVAILABLE when it can't listen.
 */
export async function startConsensus(
  opts: ConsensusOpts,
  modules: ConsensusModules,
): Promise<Consensus & KeepsFiles> {
  const { port1: ours, port2: theirs } = new MessageChannel();
  const worker = startWorker(opts, modules, theirs);
  const stop = (): Promise<void> => stopWorker(worker, ours);
  const unfollow = modules.identity.onChange((identity) => tell(worker, { kind: 'identity', identity }));
  const face = new Face(opts.limits?.proposalsWaitingMax ?? DEFAULT_LIMITS.proposalsWaitingMax, {
    ...modules,
    port: hostPort(ours),
    close: async () => {
      unfollow();
      await stop();
    },
  });
  worker.on('error', (error) => face.fail(error));
  worker.on('exit', () => face.fail(new Error('the Raft thread ended')));
  worker.on('message', receiveTelemetry(modules.log, modules.metrics) as (message: FromWorker) => void);
  try {
    await face.started;
  } catch (error) {
    await face[Symbol.asyncDispose]();
    throw error;
  }
  return face;
}

function startWorker(opts: ConsensusOpts, modules: ConsensusModules, port: MessagePort): Worker {
  const { listen, stateDir, self, start, forceNewCluster = false, lock } = opts;
  const limits = { ...DEFAULT_LIMITS, ...opts.limits };
  const data: WorkerStart = {
    opts: { stateDir, self, start, forceNewCluster, limits, ...(lock && { lock }) },
    listen,
    identity: modules.identity.current(),
    port,
  };
  return new Worker(new URL('./worker.ts', import.meta.url), {
    name: 'raft',
    workerData: data,
    transferList: [port],
    resourceLimits: { maxYoungGenerationSizeMb: WORKER_YOUNG_MB },
  });
}

async function stopWorker(worker: Worker, port: MessagePort): Promise<void> {
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  tell(worker, { kind: 'close' });
  const cancel = systemClock.timer(CLOSE_GRACE_MS, () => void worker.terminate());
  if (worker.threadId !== -1) await ended;
  cancel();
  port.close();
}

function tell(worker: Worker, message: ToWorker): void {
  worker.postMessage(message);
}

function hostPort(port: MessagePort): HostPort {
  return {
    post: (message, handOver) => port.postMessage(message, handOver === undefined ? [] : [...handOver]),
    onMessage: (receive) => void port.on('message', paced(receive)),
  };
}
