import { UPDATE_DEFAULTS } from '#proto/types/defaults.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { Node, Revision, Service, Task, UpdateStatus } from '#proto/types/objects.ts';
import type { PortConfig, TaskSpec, UpdateConfig, UpdateOrder } from '#proto/types/specs.ts';
import {
  type Constraint,
  meetsConstraints,
  meetsPlatforms,
  parseConstraints,
} from '#scheduler/constraints.ts';
import type { Situation } from '../leader/controller.ts';
import { sameValue } from '../store/same.ts';
import type { StoreView } from '../store/view.ts';
import { isLost, type Slot, slotsOf } from './slots.ts';

/**
 * Why a task is not what its service wants: its node is gone or down, is being emptied, no longer satisfies the
 * service's placement; or it runs an old spec.
 */
export type Misfit = 'lost' | 'drained' | 'unsuitable' | 'outdated';

/** One service and its slots, with the judgement of its tasks; made anew for each look. */
export class ServiceState {
  readonly view: StoreView;
  readonly service: Service;
  readonly slots: readonly Slot[];
  readonly #constraints: readonly Constraint[];
  readonly #differences = new Map<number, Difference>();

  constructor(view: StoreView, service: Service) {
    this.view = view;
    this.service = service;
    this.slots = slotsOf(view.tasks.byService(service.id));
    this.#constraints = readConstraints(service.spec.task);
  }

  /** Undefined for a task that fits; a task without a node can only be outdated. */
  misfitOf(task: Task): Misfit | undefined {
    const node = task.nodeId === undefined ? undefined : this.view.nodes.get(task.nodeId);
    if (isLost(task, this.view.nodes)) return 'lost';
    if (node?.spec.availability === 'drain') return 'drained';
    if (node !== undefined && !this.suits(node)) return 'unsuitable';
    return this.isOutdated(task) ? 'outdated' : undefined;
  }

  /**
   * Whether a task runs something else than its service now says. Where only the placement changed, a task on a node that
   * still will do is kept; what concerns the service but not its tasks (replicas, labels, update settings) never counts.
   */
  isOutdated(task: Task): boolean {
    if (task.specVersion === this.service.specVersion) return false;
    const difference = this.#differenceOf(task.specVersion);
    if (difference !== 'placement') return difference === 'all';
    const node = task.nodeId === undefined ? undefined : this.view.nodes.get(task.nodeId);
    return node === undefined || !this.suits(node);
  }

  /** Whether the tasks of a spec version are what the service now says, to the letter. */
  runsTheSame(specVersion: number): boolean {
    return this.#differenceOf(specVersion) === 'none';
  }

  /** Whether a node satisfies the service's constraints and platforms. */
  suits(node: Node): boolean {
    const platforms = this.service.spec.task.placement?.platforms ?? [];
    return meetsConstraints(node, this.#constraints) && meetsPlatforms(node, platforms);
  }

  node(slot: Slot): Node | undefined {
    return this.view.nodes.get(slot.key as NodeId);
  }

  get isGlobal(): boolean {
    return this.service.spec.mode.kind === 'global';
  }

  #differenceOf(specVersion: number): Difference {
    const known = this.#differences.get(specVersion);
    if (known !== undefined) return known;
    const revision = this.view.revision(this.service.id, specVersion);
    const difference = revision === undefined ? 'all' : differenceOf(revision, this.service);
    this.#differences.set(specVersion, difference);
    return difference;
  }
}

type Difference = 'none' | 'placement' | 'all';

function differenceOf(revision: Revision, { spec }: Service): Difference {
  const { placement: was, ...before } = withoutAuth(revision.task);
  const { placement: is, ...now } = withoutAuth(spec.task);
  if (!sameValue(before, now)) return 'all';
  if (!sameValue(portsOf(revision.ports), portsOf(spec.endpoint?.ports))) return 'all';
  return sameValue(was, is) ? 'none' : 'placement';
}

/** What an image was pulled with is no part of what runs. */
function withoutAuth(task: TaskSpec): TaskSpec {
  const { registryAuth: _, ...container } = task.container;
  return { ...task, container };
}

function portsOf(ports: readonly PortConfig[] | undefined): readonly PortConfig[] {
  return ports ?? [];
}

/** Constraints that cannot be read are nobody's reason to stop a task; the scheduler tells of them. */
function readConstraints(task: TaskSpec): readonly Constraint[] {
  try {
    return parseConstraints(task.placement?.constraints ?? []);
  } catch {
    return [];
  }
}

/** The services that are to have tasks, as far as the situation asks to look at them. */
export function serviceStates(view: StoreView, situation: Situation): ServiceState[] {
  return servicesToLookAt(view, situation)
    .filter(({ pendingDelete, spec: { mode } }) => {
      return !pendingDelete && (mode.kind === 'replicated' || mode.kind === 'global');
    })
    .map((service) => new ServiceState(view, service));
}

/** Every service that the situation asks to look at, in order of their ids. */
export function servicesToLookAt(view: StoreView, { services }: Situation): Service[] {
  if (services === undefined) return [...view.services.all()];
  return [...services].sort().flatMap((id) => view.services.get(id) ?? []);
}

/** Every node that the situation asks to look at; undefined when it asks for none. */
export function nodesToLookAt(view: StoreView, { services, nodes }: Situation): Node[] | undefined {
  if (services === undefined) return [...view.nodes.all()];
  return nodes && [...nodes].sort().flatMap((id) => view.nodes.get(id) ?? []);
}

/** How tasks are replaced now: by the rollback's settings while one is under way. */
export function updateConfigOf(service: Service): Required<UpdateConfig> {
  const { rollback, update } = service.spec;
  return { ...UPDATE_DEFAULTS, ...(isRollback(service.update) ? rollback : update) };
}

export function isRollback(status: UpdateStatus | undefined): boolean {
  return status?.state === 'rollback_started' || status?.state === 'rollback_paused';
}

/** Two tasks cannot have one port of a node: there the old one has to go first, whatever was asked. */
export function orderOf(service: Service): UpdateOrder {
  const onHostPorts = service.spec.endpoint?.ports?.some(
    (port) => port.publishMode === 'host' && port.publishedPort,
  );
  return onHostPorts ? 'stop-first' : updateConfigOf(service).order;
}
