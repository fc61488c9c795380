import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { Random } from '#proto/base/random.ts';
import type { Wake } from '#proto/base/wake.ts';
import { assignments } from '#proto/convert/assignments.ts';
import { nodeDescription, nodeRole } from '#proto/convert/node.ts';
import { taskStatus } from '#proto/convert/task.ts';
import type {
  AgentMessage,
  AgentMessageKnown,
  ManagerMessage,
  ManagerMessageWelcome,
} from '#proto/gen/shoal.ts';
import type { Input } from '#proto/rpc/codec.ts';
import type { Client } from '#proto/rpc/types.ts';
import type { Assigned, AssignmentDiff } from '#proto/types/assignments.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { NodeDescription } from '#proto/types/objects.ts';
import type { NodeRole } from '#proto/types/states.ts';
import { applyDiff, networksOf } from './assigned.ts';
import type { KnownManager } from './managers.ts';
import type { Reports } from './reports.ts';

/** What this node has to say, whoever it is speaking with. `changed` wakes whoever says it. */
export interface Outgoing {
  description: NodeDescription;
  readonly reports: Reports;
  /** Version up to which the data plane is in place. */
  networkReady: number;
  /** Set when the node takes its leave. */
  goodbye?: string;
  readonly changed: Wake;
}

/** What the managers say about themselves and about this node. */
export interface ClusterNews {
  readonly managers: readonly KnownManager[];
  /** The role this node's certificate should have. */
  readonly role: NodeRole;
  /** PEM. */
  readonly roots: string;
}

export interface ConversationModules {
  readonly clock: Clock;
  readonly random: Pick<Random, 'next'>;
  /** The manager has taken this node in; of what epoch its versions are. */
  readonly welcomed: (epoch: number) => void;
  readonly onCluster: (news: ClusterNews) => void;
  readonly assigned: () => Assigned;
  /** Of what epoch that is. */
  readonly epoch: () => number;
  /** Throws to break off. */
  readonly onAssigned: (assigned: Assigned, complete: boolean) => void;
}

const WELCOME_MS_MAX = 10_000;
/** Heartbeats come this much earlier or later than asked, so that nodes drift apart. */
const BEAT_JITTER = 0.1;

/** One session with one manager, from hello until either side ends it. */
export class Conversation {
  readonly #out: Outgoing;
  readonly #modules: ConversationModules;
  readonly #ended = new AbortController();
  #cancelTimer: () => void = () => undefined;
  #beatDue = false;
  /** Parts of a version that is not complete yet. */
  #building: Assigned | undefined;
  #complete = false;

  constructor(out: Outgoing, modules: ConversationModules) {
    this.#out = out;
    this.#modules = modules;
  }

  /** Returns when the manager ends the session in good order, after a goodbye; throws otherwise. */
  async run(client: Client<'Dispatcher'>, signal: AbortSignal): Promise<void> {
    const abort = (): void => this.#ended.abort(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    this.#after(WELCOME_MS_MAX, () => this.#ended.abort(notWelcomed()));
    try {
      signal.throwIfAborted();
      const ended = this.#ended.signal;
      for await (const message of client.session(this.#speak(ended), { signal: ended })) this.#hear(message);
    } finally {
      this.#cancelTimer();
      signal.removeEventListener('abort', abort);
      this.#ended.abort(new Error('the session has ended'));
      this.#out.reports.reset();
    }
  }

  async *#speak(signal: AbortSignal): AsyncGenerator<Input<AgentMessage>> {
    const out = this.#out;
    let description: NodeDescription | undefined;
    let networkReady = 0;
    for (;;) {
      if (description !== out.description) {
        const first = description === undefined;
        description = out.description;
        yield {
          hello: { description: nodeDescription.toWire(description), known: first ? this.#known() : null },
        };
      }
      if (this.#beatDue) {
        this.#beatDue = false;
        yield { heartbeat: {} };
      }
      if (networkReady < out.networkReady) {
        networkReady = out.networkReady;
        yield { networkReady: { version: networkReady } };
      }
      const batch = out.reports.take();
      if (batch !== undefined) {
        const reports = batch.reports.map(([taskId, status]) => ({
          taskId,
          status: taskStatus.toWire(status),
        }));
        yield { reports: { serial: batch.serial, reports } };
      } else if (out.goodbye !== undefined && out.reports.idle) {
        yield { goodbye: { reason: out.goodbye } };
        return;
      } else {
        await out.changed.wait(signal);
      }
    }
  }

  /** What this node has been told already: the manager may say only what is new. */
  #known(): Input<AgentMessageKnown> | null {
    const known = this.#modules.assigned();
    const { version, revisions } = known;
    if (version === 0) return null;
    return {
      epoch: this.#modules.epoch(),
      version,
      networks: networksOf(known),
      revisions: [...revisions.values()].map(({ serviceId, specVersion }) => ({ serviceId, specVersion })),
    };
  }

  #hear(message: ManagerMessage): void {
    if (message.welcome) this.#welcome(message.welcome);
    if (message.reportsStored) this.#stored(message.reportsStored.serial);
    if (message.assignments) this.#assign(assignments.fromWire(message.assignments), message.more);
    if (message.cluster) {
      const { managers, role, rootCertificates } = message.cluster;
      this.#modules.onCluster({
        managers: managers.map(({ nodeId, addr }) => ({ nodeId: nodeId as NodeId, addr })),
        role: nodeRole.fromWire(role),
        roots: rootCertificates,
      });
    }
  }

  #welcome({ heartbeatPeriodMs: periodMs, epoch }: ManagerMessageWelcome): void {
    this.#modules.welcomed(epoch);
    const beat = (): void => {
      const jitter = 1 - BEAT_JITTER + 2 * BEAT_JITTER * this.#modules.random.next();
      this.#after(periodMs * jitter, () => {
        this.#beatDue = true;
        this.#out.changed.up();
        beat();
      });
    };
    beat();
  }

  #stored(serial: number): void {
    this.#out.reports.stored(serial);
    this.#out.changed.up();
  }

  /** Applies one part; what it leads to is handed on when it is whole. */
  #assign(diff: AssignmentDiff, more: boolean): void {
    const known = this.#building ?? this.#modules.assigned();
    const next = applyDiff(known, diff);
    if (next === undefined) {
      const found = `found version ${known.version}, the changes apply to ${diff.appliesTo}`;
      throw new ShoalError('OUT_OF_SEQUENCE', `assignments were missed: ${found}`);
    }
    this.#building = next;
    this.#complete ||= diff.complete;
    if (more) return;
    const complete = this.#complete;
    this.#building = undefined;
    this.#complete = false;
    this.#modules.onAssigned(next, complete);
  }

  /** One timer at a time: the next takes the place of the last. */
  #after(ms: number, fire: () => void): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#modules.clock.timer(ms, fire);
  }
}

function notWelcomed(): ShoalError {
  return new ShoalError('DEADLINE_EXCEEDED', `the manager did not answer within ${WELCOME_MS_MAX} ms`);
}
