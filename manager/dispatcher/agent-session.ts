import { ShoalError } from '#proto/base/errors.ts';
import { Wake } from '#proto/base/wake.ts';
import { assignments } from '#proto/convert/assignments.ts';
import type { ManagerMessage } from '#proto/gen/shoal.ts';
import type { Input } from '#proto/rpc/codec.ts';
import type { AssignmentDiff } from '#proto/types/assignments.ts';
import type { NetworkId, NodeId } from '#proto/types/ids.ts';
import type { NodeDescription } from '#proto/types/objects.ts';
import type { StoreView } from '../store/view.ts';
import {
  changedAssignments,
  completeAssignments,
  concernsNetwork,
  type Dirty,
  isEmpty,
  type Told,
} from './assignments.ts';
import { partsOf } from './parts.ts';
import { Readiness } from './readiness.ts';
import type { Topic } from './touched.ts';
import { Unsaid } from './unsaid.ts';

type ClusterInfo = NonNullable<Input<ManagerMessage>['cluster']>;

export interface AgentSessionOpts {
  readonly sessionId: string;
  readonly nodeId: NodeId;
  /** The address the node calls from, without port. */
  readonly addr: string;
  readonly periodMs: number;
  readonly epoch: number;
}

/** What an agent knows from another manager, and what may have changed since. */
export interface Resumption {
  readonly told: Told;
  readonly missed: Dirty;
}

export interface AgentSessionModules {
  readonly view: () => StoreView;
  /** Managers, role and roots, as this node is to know them now. */
  readonly clusterInfo: (nodeId: NodeId) => ClusterInfo;
  /** The networks whose changes concern this node are others now. */
  readonly networksChanged: (was: ReadonlySet<NetworkId>, is: ReadonlySet<NetworkId>) => void;
  /** What its data plane is ready for may have changed. */
  readonly readinessChanged: () => void;
}

/**
 * The manager's side of one agent's session: what is to be said to it, in the order and at the pace it takes. Nothing is
 * computed before the stream has room for it, so an agent that is slow gets fewer, larger messages.
 */
export class AgentSession {
  readonly opts: AgentSessionOpts;
  readonly #modules: AgentSessionModules;
  readonly #unsaid = new Unsaid();
  readonly #readiness = new Readiness();
  readonly #wake = new Wake();
  readonly #ended = new AbortController();
  #told: Told | undefined;
  #clusterInfoDue = true;
  #storedDue: number | undefined;
  #storing = false;
  #over = false;
  description: NodeDescription;
  /** When its last word came, on the patient clock. */
  heardMs: number;

  constructor(
    opts: AgentSessionOpts,
    description: NodeDescription,
    heardMs: number,
    modules: AgentSessionModules,
  ) {
    this.opts = opts;
    this.description = description;
    this.heardMs = heardMs;
    this.#modules = modules;
  }

  /** Goes on where another manager stopped, instead of saying everything. Before anything else is done. */
  resume({ told, missed }: Resumption): void {
    this.#told = told;
    this.#modules.networksChanged(NO_NETWORKS, told.networks);
    this.#readiness.sent(told.version, 1);
    this.#unsaid.addAll(missed, told.version + 1);
  }

  /** The networks it has been told of. */
  get networks(): ReadonlySet<NetworkId> {
    return this.#told?.networks ?? NO_NETWORKS;
  }

  /** What its data plane is ready for; undefined: for everything there is. */
  get behind(): number | undefined {
    return this.#told === undefined ? 0 : this.#readiness.behind(this.#unsaid.since);
  }

  /** A row may be different for this node. Said when `wake` is called. */
  touch(topic: Topic, id: string, version: number): void {
    this.#unsaid.add(topic, id, version);
  }

  clusterInfoChanged(): void {
    this.#clusterInfoDue = true;
  }

  /** A batch of reports has come. The next may only come when it is stored: that is how an agent is slowed down. */
  reportsUnderWay(): void {
    if (this.#storing) throw new ShoalError('FAILED_PRECONDITION', 'the last reports are not stored yet');
    this.#storing = true;
  }

  /** The reports with this serial are in the log. */
  reportsStored(serial: number): void {
    this.#storing = false;
    this.#storedDue = serial;
    this.#wake.up();
  }

  networkReady(version: number): void {
    this.#readiness.acknowledged(version);
  }

  wake(): void {
    this.#wake.up();
  }

  /** Ends the session: with a failure, or in good order after what is being said. */
  end(failure?: ShoalError): void {
    this.#over = true;
    if (failure === undefined) this.#wake.up();
    else this.#ended.abort(failure);
  }

  /** Everything the agent is told, for as long as the session lasts; throws what it was ended with. */
  async *messages(signal: AbortSignal): AsyncGenerator<Input<ManagerMessage>> {
    const abort = (): void => this.#ended.abort(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      const { sessionId, periodMs, epoch } = this.opts;
      yield { welcome: { sessionId, heartbeatPeriodMs: periodMs, epoch } };
      while (!this.#over || this.#storedDue !== undefined) {
        const messages = [...this.#due()];
        yield* messages;
        if (messages.length === 0) await this.#wake.wait(this.#ended.signal);
        this.#ended.signal.throwIfAborted();
      }
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** What is to be said now; nothing: wait. */
  *#due(): Generator<Input<ManagerMessage>> {
    if (this.#clusterInfoDue) {
      this.#clusterInfoDue = false;
      yield { cluster: this.#modules.clusterInfo(this.opts.nodeId) };
    }
    if (this.#storedDue !== undefined) {
      const serial = this.#storedDue;
      this.#storedDue = undefined;
      yield { reportsStored: { serial } };
    }
    const parts = this.#nextAssignments();
    for (const [i, part] of parts.entries()) {
      yield { assignments: assignments.toWire(part), more: i < parts.length - 1 };
    }
  }

  /** All of it first, then what is new; no parts when nothing is. */
  #nextAssignments(): AssignmentDiff[] {
    const since = this.#told === undefined ? 1 : this.#unsaid.since;
    if (since === undefined) return [];
    const view = this.#modules.view();
    const dirty = this.#unsaid.take();
    const { nodeId } = this.opts;
    const { diff, told } =
      this.#told === undefined
        ? completeAssignments(view, nodeId)
        : changedAssignments(view, nodeId, this.#told, dirty);
    if (!isEmpty(diff)) this.#tell(diff, told, since);
    this.#modules.readinessChanged();
    return isEmpty(diff) ? [] : partsOf(diff);
  }

  #tell(diff: AssignmentDiff, told: Told, since: number): void {
    const was = this.networks;
    this.#told = told;
    if (was !== told.networks) this.#modules.networksChanged(was, told.networks);
    if (concernsNetwork(diff)) this.#readiness.sent(diff.version, since);
  }
}

const NO_NETWORKS: ReadonlySet<NetworkId> = new Set();
