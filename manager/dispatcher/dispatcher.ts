import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { LIMITS } from '#proto/base/limits.ts';
import type { Log } from '#proto/base/log.ts';
import type { Metrics } from '#proto/base/metrics.ts';
import type { Random } from '#proto/base/random.ts';
import { nodeDescription } from '#proto/convert/node.ts';
import { taskStatus } from '#proto/convert/task.ts';
import type {
  AgentMessage,
  AgentMessageKnown,
  AgentMessageReports,
  ManagerMessage,
} from '#proto/gen/shoal.ts';
import type { Input } from '#proto/rpc/codec.ts';
import type { CallInfo, Implementation } from '#proto/rpc/types.ts';
import { type NetworkId, type NodeId, newId, type ServiceId, type TaskId } from '#proto/types/ids.ts';
import type { NodeDescription, TaskStatus } from '#proto/types/objects.ts';
import type { EventBatch, Store } from '../store/view.ts';
import { AgentSession, type Resumption } from './agent-session.ts';
import { clusterInfoFor, clusterInfoTouched } from './cluster-info.ts';
import type { PatientClock } from './patient-clock.ts';
import type { Reporter } from './reporter.ts';
import { type Known, missedBy, toldBefore } from './resume.ts';
import type { Sessions } from './sessions.ts';
import { SharedBarrier } from './shared-barrier.ts';
import { touchedBy } from './touched.ts';

export interface DispatcherModules {
  readonly store: Pick<Store, 'view' | 'subscribe' | 'watchFrom' | 'readBarrier'>;
  readonly clock: Clock;
  readonly patient: PatientClock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly sessions: Sessions;
  /** Takes what is heard to the leader. */
  readonly reporter: Pick<Reporter, 'changed' | 'departed' | 'deliver' | 'readinessChanged'>;
  /** How often agents are to be heard. */
  readonly periodMs: () => number;
}

const SWEEP_MS = 1_000;
/** How long a new session waits for proof that what it is told is fresh; then it is told what is there. */
const FRESH_MS_MAX = 2_000;
const HELLO_MS_MAX = 10_000;
const TEXT_CHARS_MAX = 1_024;

/** The Dispatcher service of one manager: holds sessions with agents, tells them what they are to do, and listens. */
export class Dispatcher implements Implementation<'Dispatcher'>, AsyncDisposable {
  readonly #modules: DispatcherModules;
  readonly #barrier: SharedBarrier;
  readonly #unsubscribe: () => void;
  #cancelSweep: () => void = () => undefined;
  /** Sessions with something to say, woken together at the end of the loop's turn. */
  readonly #stirred = new Set<AgentSession>();
  #stopped = false;

  constructor(modules: DispatcherModules) {
    this.#modules = modules;
    this.#barrier = new SharedBarrier(modules.store, modules.clock);
    this.#unsubscribe = modules.store.subscribe((batch) => this.#applied(batch));
    const gauge = modules.metrics.gauge(
      'shoal_dispatcher_sessions',
      'Agents that have their session with this manager',
    );
    modules.metrics.onScrape(() => gauge.set(this.#modules.sessions.size));
    this.#sweepLater();
  }

  async *session(
    requests: AsyncIterable<AgentMessage>,
    call: CallInfo,
  ): AsyncGenerator<Input<ManagerMessage>> {
    const words = requests[Symbol.asyncIterator]();
    const session = await this.#open(words, call);
    void this.#listen(session, words);
    try {
      yield* session.messages(call.signal);
    } finally {
      this.#close(session);
    }
  }

  /** Ends every session: the agents turn to other managers. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#unsubscribe();
    this.#cancelSweep();
    for (const session of [...this.#modules.sessions.all()]) {
      session.end(new ShoalError('UNAVAILABLE', 'this manager is stopping'));
    }
  }

  async #open(words: AsyncIterator<AgentMessage>, call: CallInfo): Promise<AgentSession> {
    const nodeId = call.peer?.nodeId;
    if (nodeId === undefined) throw new ShoalError('UNAUTHENTICATED', 'a session needs a certificate');
    const { description, known } = await this.#hello(words);
    await this.#barrier.pass(FRESH_MS_MAX);
    call.signal.throwIfAborted();
    if (this.#stopped) throw new ShoalError('UNAVAILABLE', 'this manager is stopping');
    this.#checkMember(nodeId);
    const opts = {
      sessionId: newId<'session'>(this.#modules.random),
      nodeId,
      addr: knownAddr(call.peerAddr, description),
      periodMs: this.#modules.periodMs(),
      epoch: this.#modules.store.view().cluster?.epoch ?? 0,
    };
    const session: AgentSession = new AgentSession(opts, description, this.#modules.patient.nowMs(), {
      view: () => this.#modules.store.view(),
      clusterInfo: (id) => clusterInfoFor(this.#modules.store.view(), id),
      networksChanged: (was, is) => this.#modules.sessions.move(session, was, is),
      readinessChanged: () => this.#modules.reporter.readinessChanged(nodeId),
    });
    this.#modules.sessions
      .add(session)
      ?.end(new ShoalError('CANCELLED', 'the node has begun another session'));
    const resumption = known && this.#resumption(nodeId, known);
    if (resumption) session.resume(resumption);
    this.#modules.reporter.changed(nodeId);
    const resumed = resumption !== undefined;
    this.#modules.log.info('an agent has begun a session', { node: nodeId, addr: opts.addr, resumed });
    return session;
  }

  /** What an agent missed that knows this much; undefined when it must be told everything. */
  #resumption(nodeId: NodeId, known: Known): Resumption | undefined {
    const { store } = this.#modules;
    const view = store.view();
    if (known.epoch !== view.cluster?.epoch || known.version > view.version) return undefined;
    const batches: EventBatch[] = [];
    const unsubscribe = store.watchFrom(known.version, (batch) => void batches.push(batch));
    if (unsubscribe === undefined) return undefined;
    unsubscribe();
    return { told: toldBefore(known), missed: missedBy(nodeId, batches, view) };
  }

  async #hello(words: AsyncIterator<AgentMessage>): Promise<{ description: NodeDescription; known?: Known }> {
    const late = Promise.withResolvers<never>();
    const cancel = this.#modules.clock.timer(HELLO_MS_MAX, () => {
      late.reject(new ShoalError('DEADLINE_EXCEEDED', 'the agent did not say hello'));
    });
    try {
      const first = await Promise.race([words.next(), late.promise]);
      const hello = first.done ? undefined : first.value.hello;
      if (!hello?.description) throw new ShoalError('INVALID_ARGUMENT', 'a session begins with a hello');
      const description = nodeDescription.fromWire(hello.description);
      return hello.known ? { description, known: knownFromWire(hello.known) } : { description };
    } finally {
      cancel();
    }
  }

  #checkMember(nodeId: NodeId): void {
    if (this.#modules.store.view().nodes.get(nodeId) !== undefined) return;
    throw new ShoalError('FORBIDDEN', `node ${nodeId} is not part of the swarm`);
  }

  /** Takes in what the agent says until it has said all; its failures end the session. */
  async #listen(session: AgentSession, words: AsyncIterator<AgentMessage>): Promise<void> {
    try {
      for (let next = await words.next(); !next.done; next = await words.next())
        this.#hear(session, next.value);
      session.end();
    } catch (error) {
      session.end(error instanceof ShoalError ? error : new ShoalError('INTERNAL', 'the session failed'));
    }
  }

  #hear(session: AgentSession, message: AgentMessage): void {
    const { reporter, patient } = this.#modules;
    const { nodeId } = session.opts;
    session.heardMs = patient.nowMs();
    if (message.hello?.description) {
      session.description = nodeDescription.fromWire(message.hello.description);
      reporter.changed(nodeId);
    }
    if (message.networkReady) {
      session.networkReady(message.networkReady.version);
      reporter.readinessChanged(nodeId);
    }
    if (message.reports) this.#hearReports(session, message.reports);
    if (message.goodbye) {
      this.#modules.log.info('an agent took its leave', { node: nodeId, reason: message.goodbye.reason });
      if (this.#modules.sessions.remove(session))
        reporter.departed(nodeId, { gone: message.goodbye.reason, heardMs: session.heardMs });
      session.end();
    }
  }

  #hearReports(session: AgentSession, { serial, reports }: AgentMessageReports): void {
    const statuses = reports.flatMap(({ taskId, status }) =>
      status ? [[taskId as TaskId, taskStatus.fromWire(status)] as const] : [],
    );
    session.reportsUnderWay();
    this.#modules.reporter.deliver(session.opts.nodeId, statuses.map(bounded), () =>
      session.reportsStored(serial),
    );
  }

  #close(session: AgentSession): void {
    if (!this.#modules.sessions.remove(session)) return;
    const { reporter, patient, log } = this.#modules;
    const { heardMs, opts } = session;
    log.info('the session of an agent has ended', { node: opts.nodeId, silentMs: patient.nowMs() - heardMs });
    reporter.departed(opts.nodeId, { heardMs });
  }

  #applied(batch: EventBatch): void {
    const { store } = this.#modules;
    for (const { scope, topic, id } of touchedBy(batch, store.view())) {
      for (const session of this.#modules.sessions.in(scope)) {
        session.touch(topic, id, batch.version);
        this.#modules.reporter.readinessChanged(session.opts.nodeId);
        this.#stir(session);
      }
    }
    const informed = clusterInfoTouched(batch);
    const sessions =
      informed === 'all'
        ? this.#modules.sessions.all()
        : informed.map((id) => this.#modules.sessions.get(id));
    for (const session of sessions) {
      session?.clusterInfoChanged();
      if (session) this.#stir(session);
    }
    for (const event of batch.events) {
      if (event.table === 'node' && event.row === undefined) this.#removed(event.id as NodeId);
    }
  }

  #removed(nodeId: NodeId): void {
    const session = this.#modules.sessions.get(nodeId);
    if (session === undefined) return;
    this.#modules.sessions.remove(session);
    session.end(new ShoalError('FORBIDDEN', `node ${nodeId} is not part of the swarm`));
  }

  /** Everything that is applied in one turn of the loop is said in one message. */
  #stir(session: AgentSession): void {
    if (this.#stirred.size === 0) {
      setImmediate(() => {
        for (const stirred of this.#stirred) stirred.wake();
        this.#stirred.clear();
      });
    }
    this.#stirred.add(session);
  }

  #sweepLater(): void {
    this.#cancelSweep = this.#modules.clock.timer(SWEEP_MS, () => {
      this.#sweep();
      this.#sweepLater();
    });
  }

  /** Ends sessions of agents that fell silent. */
  #sweep(): void {
    const nowMs = this.#modules.patient.nowMs();
    const graceMs = this.#modules.periodMs() * LIMITS.heartbeatMissesMax;
    for (const session of [...this.#modules.sessions.all()]) {
      if (nowMs - session.heardMs < graceMs) continue;
      this.#close(session);
      session.end(new ShoalError('UNAVAILABLE', 'heartbeat failure'));
    }
  }
}

function knownFromWire({ epoch, version, networks, revisions }: AgentMessageKnown): Known {
  return {
    epoch,
    version,
    networks: networks as NetworkId[],
    revisions: revisions.map((key) => ({ ...key, serviceId: key.serviceId as ServiceId })),
  };
}

/** A status as the log may keep it: what a task says of its failure is cut to what people read. */
function bounded([taskId, status]: readonly [TaskId, TaskStatus]): readonly [TaskId, TaskStatus] {
  const { message, error } = status;
  const cut = error === undefined ? {} : { error: error.slice(0, TEXT_CHARS_MAX) };
  return [taskId, { ...status, message: message.slice(0, TEXT_CHARS_MAX), ...cut }];
}

/** The address a node is known by: where it calls from, unless that is this very machine. */
function knownAddr(peerAddr: string, description: NodeDescription): string {
  const host = peerAddr.slice(0, peerAddr.lastIndexOf(':')).replace(/^\[|\]$/g, '');
  const here = host === '::1' || host.startsWith('127.');
  return here && description.dataPathAddr !== '' ? description.dataPathAddr : host;
}
