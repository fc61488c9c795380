import { ContainerExecutor } from '#agent/exec/container/container-executor.ts';
import type { Executor } from '#agent/exec/executor.ts';
import { MockExecutor } from '#agent/exec/mock/mock-executor.ts';
import type { NodeIdentity } from '#agent/session/identity.ts';
import type { KnownManager } from '#agent/session/managers.ts';
import { type Membership, openMembership } from '#agent/session/open.ts';
import { type TaskRecord, type TaskRecords, Worker } from '#agent/worker/worker.ts';
import type { Clock } from '#proto/base/clock.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import type { Assigned } from '#proto/types/assignments.ts';
import type { NodeDescription } from '#proto/types/objects.ts';
import type { Machine } from './machine.ts';

export interface AgentOpts {
  /** Where the list of managers is remembered. */
  readonly dir: string;
  readonly hostname: string;
  readonly executor: 'container' | 'mock';
  readonly managers: readonly KnownManager[];
}

export interface AgentModules {
  readonly machine: Machine;
  readonly identity: NodeIdentity;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly describe: () => NodeDescription;
  /** host:port of the manager on this node, while there is one. */
  readonly localAddr: () => string | undefined;
}

/** This node's hands: its session with the managers, and the tasks they gave it. */
export interface AgentPart extends AsyncDisposable {
  readonly membership: Membership;
  readonly executor: Executor;
  /** What the managers told last. */
  assigned(): Assigned;
}

/** Swarm's own period of looking whether a node has changed. */
const DESCRIBE_EVERY_MS = 20_000;
const NETWORK_RETRY_MS = 1_000;

/** Goes on with the tasks that the last daemon had, and takes up the session with the managers. */
export async function startAgent(opts: AgentOpts, modules: AgentModules): Promise<AgentPart> {
  await using stack = new AsyncDisposableStack();
  const { clock, log, describe } = modules;
  const executor = executorOf(opts, modules);
  let membership: Membership | undefined;
  const worker = stack.use(
    new Worker({
      clock,
      log: log.child('worker'),
      executor,
      hostname: opts.hostname,
      records: recordsIn(modules.machine),
      report: (taskId, status) => membership?.session.report(taskId, status),
    }),
  );
  worker.resume();
  const network = stack.use(new NetworkFollower(executor, clock, log));
  const onAssigned = (assigned: Assigned): void => {
    network.follow(assigned, (version) => membership?.session.networkReady(version));
    worker.assign(assigned);
  };
  membership = stack.use(
    await openMembership(
      { dir: opts.dir, managers: opts.managers, description: describe() },
      { ...modules, consumer: { onAssigned }, statuses: () => worker.statuses() },
    ),
  );
  const { session } = membership;
  stack.defer(repeat(clock, DESCRIBE_EVERY_MS, () => session.describe(describe())));
  const running = stack.move();
  return {
    membership,
    executor,
    assigned: () => session.assigned(),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** What runs tasks on this machine. */
export function executorOf(
  opts: Pick<AgentOpts, 'executor'>,
  { machine, clock, describe }: Pick<AgentModules, 'machine' | 'clock' | 'describe'>,
): Executor {
  if (opts.executor === 'mock') return new MockExecutor(describe(), { clock });
  const { engine, images, network } = machine;
  return new ContainerExecutor({
    clock,
    containers: engine.containers,
    images,
    network,
    describe: async () => describe(),
  });
}

/**
 * Removes every task of a cluster that this node has left, and what its networks had here. A container that can't be
 * removed does not keep the node in the cluster: it is left to `docker rm`.
 */
export async function clearTasks(
  executor: Pick<Executor, 'sweep'>,
  { machine, log }: { readonly machine: Pick<Machine, 'engine' | 'network'>; readonly log: Log },
  signal: AbortSignal,
): Promise<void> {
  const records = recordsIn(machine);
  for (const { task } of records.all()) records.delete(task.id);
  await executor.sweep(new Set(), signal).catch((error: unknown) => {
    log.warn('left the swarm with a container that could not be removed', { err: error });
  });
  await machine.network.applyCluster(undefined);
}

function recordsIn({ engine }: Pick<Machine, 'engine'>): TaskRecords {
  const { tasks } = engine.parts.state;
  return {
    all: () => tasks.all() as TaskRecord[],
    put: (record) => tasks.put(record.task.id, record),
    delete: (taskId) => tasks.delete(taskId),
  };
}

/** Calls `work` again and again; the returned function ends it. */
function repeat(clock: Pick<Clock, 'timer'>, everyMs: number, work: () => void): () => void {
  let cancel = (): void => undefined;
  const next = (): void => {
    cancel = clock.timer(everyMs, () => {
      work();
      next();
    });
  };
  next();
  return () => cancel();
}

/** Brings the data plane to the newest state the managers told, again and again until it is there. */
class NetworkFollower implements AsyncDisposable {
  readonly #executor: Executor;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #stopping = new AbortController();
  readonly #applying = new Set<Promise<void>>();
  #newest: Assigned | undefined;

  constructor(executor: Executor, clock: Clock, log: Log) {
    this.#executor = executor;
    this.#clock = clock;
    this.#log = log.child('network');
  }

  /** The executor is told at once, so that tasks which come with this state find their networks. */
  follow(state: Assigned, reached: (version: number) => void): void {
    this.#newest = state;
    const applied = this.#apply(state, reached).finally(() => this.#applying.delete(applied));
    this.#applying.add(applied);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new Error('stopping'));
    await Promise.all(this.#applying);
  }

  async #apply(state: Assigned, reached: (version: number) => void): Promise<void> {
    while (this.#newest === state && !this.#stopping.signal.aborted) {
      try {
        await this.#executor.applyNetwork(state);
        return reached(state.version);
      } catch (error) {
        this.#log.error('the data plane is not yet as the managers want it', { err: error });
        await this.#clock.sleep(NETWORK_RETRY_MS, this.#stopping.signal).catch(() => undefined);
      }
    }
  }
}
