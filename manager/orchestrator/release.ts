import type { NetworkId, NodeId } from '#proto/types/ids.ts';
import type { Node, Task } from '#proto/types/objects.ts';
import type { PortConfig } from '#proto/types/specs.ts';
import { TaskState } from '#proto/types/states.ts';
import { isLeaving } from '#scheduler/slots.ts';
import type { Controller, Situation } from '../leader/controller.ts';
import type { Change } from '../store/changes.ts';
import type { StoreView } from '../store/view.ts';
import { nodesOn } from './network-tasks.ts';
import { NOTHING } from './plans.ts';

/**
 * Lets tasks stop that were asked to: when every node that balances to a task has taken it out, so that no request is on
 * its way to it. A node's word counts from the version at which the task began to leave.
 */
export const release: Controller = {
  name: 'release',
  wakesOn: ['node', 'task'],
  plan(view, situation) {
    const leaving = view.tasks.unsettled(TaskState.Running).filter(waitsForRelease);
    if (leaving.length === 0) return NOTHING;
    const balancing = new Balancing(view, situation.networkReady);
    return { changes: leaving.filter((task) => balancing.isDone(task)).map(letGo) };
  },
};

/** Requests go to tasks that run; one that does not run yet never will get any, and stops by itself. */
function waitsForRelease(task: Task): boolean {
  return isLeaving(task) && !task.released && task.status.state === TaskState.Running;
}

function letGo(task: Task): Change {
  return { kind: 'releaseTask', taskId: task.id };
}

/** Which nodes balance to what, and how far they are; each thing is found out once, and only when somebody asks. */
class Balancing {
  readonly #view: StoreView;
  readonly #readyOf: (node: Node) => number;
  /** Those that are least far first. */
  readonly #nodes: readonly Node[];
  readonly #users = new Map<NetworkId, ReadonlySet<NodeId>>();

  constructor(view: StoreView, networkReady: Situation['networkReady']) {
    this.#view = view;
    this.#readyOf = ({ id }) => networkReady.get(id) ?? 0;
    this.#nodes = [...view.nodes.all()]
      .filter(isBalancing)
      .sort((a, b) => this.#readyOf(a) - this.#readyOf(b));
  }

  /** Whether every node that balances to a task has taken it out. */
  isDone(task: Task): boolean {
    const everywhere = publishes(this.#view, task);
    for (const node of this.#nodes) {
      if (this.#isFarEnough(node, task)) return true;
      if (everywhere || this.#isNear(node, task)) return false;
    }
    return true;
  }

  #isFarEnough(node: Node, { leavingVersion }: Task): boolean {
    // A version that only this draft knows is not final.
    if (leavingVersion === undefined || leavingVersion > this.#view.version) return false;
    return this.#readyOf(node) >= leavingVersion;
  }

  /** Whether a node has tasks on one of the task's networks. */
  #isNear({ id }: Node, { networks }: Task): boolean {
    return networks.some(
      ({ networkId, addresses }) => addresses.length > 0 && this.#usersOf(networkId).has(id),
    );
  }

  #usersOf(network: NetworkId): ReadonlySet<NodeId> {
    const users = this.#users.get(network) ?? nodesOn(this.#view, network);
    this.#users.set(network, users);
    return users;
  }
}

/** A node that has not spoken up yet since the lead changed goes on balancing; one without mesh addresses cannot. */
function isBalancing(node: Node): boolean {
  const up = node.status.state === 'ready' || node.status.state === 'unknown';
  return up && node.meshIndex !== undefined;
}

function publishes(view: StoreView, task: Task): boolean {
  const revision = view.revision(task.serviceId, task.specVersion);
  const endpoint = view.services.get(task.serviceId)?.endpoint;
  return [...(revision?.ports ?? []), ...(endpoint?.ports ?? [])].some(isIngress);
}

function isIngress(port: PortConfig): boolean {
  return port.publishMode === 'ingress';
}
