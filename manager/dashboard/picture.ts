import type { NodeId } from '#proto/types/ids.ts';
import type { Node, Service, Task } from '#proto/types/objects.ts';
import { isTerminal, TaskState, taskStateName } from '#proto/types/states.ts';
import type { StoreView } from '../store/view.ts';

/** Tasks drawn one by one on a node; of more, only the number is told. */
const TASKS_DRAWN_PER_NODE = 200;

/** What the live page shows: the cluster at one moment, small enough to be sent whole. */
export interface Picture {
  /** The store's version. */
  readonly version: number;
  readonly leader: string;
  readonly nodes: readonly NodePicture[];
  readonly services: readonly ServicePicture[];
  /** Tasks that wait for a node, with the reason the scheduler gives. */
  readonly waiting: readonly { readonly name: string; readonly reason: string }[];
  /** Requests of a load that reports to this manager; absent when none does. */
  readonly load?: LoadPicture;
}

export interface NodePicture {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  readonly leader: boolean;
  readonly state: string;
  readonly availability: string;
  readonly tasks: readonly TaskPicture[];
  /** Tasks beyond those drawn. */
  readonly more: number;
}

export interface TaskPicture {
  readonly id: string;
  /** `web.3`. */
  readonly name: string;
  readonly serviceId: string;
  readonly state: string;
  readonly leaving: boolean;
  /** Of the service's specs, which one it runs: current, or an older one. */
  readonly current: boolean;
}

export interface ServicePicture {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly wanted: number;
  readonly running: number;
  readonly ports: readonly string[];
  readonly update?: { readonly state: string; readonly message: string };
}

export interface LoadPicture {
  readonly sent: number;
  readonly failed: number;
  readonly versions: Readonly<Record<string, number>>;
}

const WAITING_SHOWN = 20;

/** Draws the cluster from one view. */
export function pictureOf(view: StoreView, leader: NodeId | undefined, load?: LoadPicture): Picture {
  const services = [...view.services.all()];
  const names = new Map(services.map(({ id, spec }) => [id, spec.name]));
  const nodes = [...view.nodes.all()].map((node) => nodePicture(node, view, names, leader));
  return {
    version: view.version,
    leader: leader === undefined ? '' : nodeName(view.nodes.get(leader)),
    nodes: nodes.sort(byName),
    services: services.map((service) => servicePicture(service, view)).sort(byName),
    waiting: services.flatMap((service) => waitingOf(service, view)).slice(0, WAITING_SHOWN),
    ...(load === undefined ? {} : { load }),
  };
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name.localeCompare(b.name, 'en', { numeric: true });
}

function nodePicture(
  node: Node,
  view: StoreView,
  names: ReadonlyMap<string, string>,
  leader: NodeId | undefined,
): NodePicture {
  const tasks = view.tasks.byNode(node.id).filter(({ status }) => !isTerminal(status.state));
  return {
    id: node.id,
    name: nodeName(node),
    role: node.role,
    leader: node.id === leader,
    state: node.status.state,
    availability: node.spec.availability,
    tasks: tasks
      .slice(0, TASKS_DRAWN_PER_NODE)
      .map((task) => taskPicture(task, view, names))
      .sort(byName),
    more: Math.max(0, tasks.length - TASKS_DRAWN_PER_NODE),
  };
}

function nodeName(node: Node | undefined): string {
  return node?.description?.hostname ?? node?.id.slice(0, 12) ?? '';
}

function taskPicture(task: Task, view: StoreView, names: ReadonlyMap<string, string>): TaskPicture {
  return {
    id: task.id,
    name: `${names.get(task.serviceId) ?? task.serviceId}${task.slot === 0 ? '' : `.${task.slot}`}`,
    serviceId: task.serviceId,
    state: taskStateName(task.status.state),
    leaving: task.desired > TaskState.Running,
    current: view.services.get(task.serviceId)?.specVersion === task.specVersion,
  };
}

function servicePicture(service: Service, view: StoreView): ServicePicture {
  const tasks = view.tasks.byService(service.id);
  const running = tasks.filter(
    ({ status, desired, nodeId }) =>
      status.state === TaskState.Running &&
      desired <= TaskState.Running &&
      nodeId !== undefined &&
      view.nodes.get(nodeId)?.status.state !== 'down',
  );
  return {
    id: service.id,
    name: service.spec.name,
    image: service.spec.task.container.image.split('@')[0] ?? '',
    wanted: wantedReplicas(service, tasks),
    running: running.length,
    ports: (service.endpoint?.ports ?? []).map(
      ({ publishedPort, targetPort, protocol }) => `${publishedPort}→${targetPort}/${protocol}`,
    ),
    ...(service.update === undefined
      ? {}
      : { update: { state: service.update.state, message: service.update.message } }),
  };
}

function wantedReplicas(service: Service, tasks: readonly Task[]): number {
  if (service.spec.mode.kind === 'replicated') return service.spec.mode.replicas;
  return new Set(tasks.filter(({ desired }) => desired <= TaskState.Running).map(({ nodeId }) => nodeId))
    .size;
}

function waitingOf(service: Service, view: StoreView): { name: string; reason: string }[] {
  return view.tasks
    .byService(service.id)
    .filter(({ status, desired }) => status.state < TaskState.Assigned && desired <= TaskState.Running)
    .map(({ slot, status }) => ({
      name: `${service.spec.name}.${slot}`,
      reason: status.error ?? status.message,
    }));
}
