import { codeOf, ShoalError } from '#proto/base/errors.ts';
import { ownTurn } from '#proto/base/own-turn.ts';
import { type Filters, fits, fitsLabels, parseFilters } from '#proto/http/filters.ts';
import { type ApiRequest, json, type Reply, type Route } from '#proto/http/types.ts';
import type { NodeId, ServiceId } from '#proto/types/ids.ts';
import type { Task } from '#proto/types/objects.ts';
import { TaskState, taskStateName } from '#proto/types/states.ts';
import { findNode, findService, findTask } from '../control/lookup.ts';
import { ServiceState } from '../orchestrator/service-state.ts';
import type { StoreView } from '../store/view.ts';
import { taskView } from './convert/task-view.ts';
import { type Handlers, param } from './handlers.ts';

export function taskRoutes({ reads }: Handlers): Route[] {
  return [
    {
      method: 'GET',
      path: '/tasks',
      handle: reads((view, request, { nodeId }) => list(view, request, nodeId)),
    },
    { method: 'GET', path: '/tasks/{id}', handle: reads(inspect) },
  ];
}

/** Tasks looked at before others get their turn: some milliseconds of work. */
const SLICE_TASKS = 1_000;

const UP_TO_DATE = '_up-to-date';
const KEYS = [UP_TO_DATE, 'desired-state', 'id', 'label', 'name', 'node', 'runtime', 'service'];
const STATES = Object.values(TaskState).map(taskStateName);

async function list(view: StoreView, { query }: ApiRequest, self: NodeId): Promise<Reply> {
  const filters = parseFilters(query, KEYS);
  for (const state of filters.get('desired-state') ?? [])
    if (!STATES.includes(state))
      throw new ShoalError('INVALID_ARGUMENT', `Invalid desired-state filter: '${state}'`);
  const services = resolved(filters, 'service', (ref) => findService(view, ref).id);
  const nodes = resolved(filters, 'node', (ref) => nodeIdOf(view, ref, self));
  const chosen: Task[] = [];
  for (const some of candidates(view, services, nodes)) {
    chosen.push(...some.filter((task) => isChosen(view, task, filters)));
    await ownTurn();
  }
  const shown = filters.has(UP_TO_DATE) ? chosen.filter(upToDate(view)) : chosen;
  return json(shown.map((task) => taskView(view, task)));
}

function inspect(view: StoreView, request: ApiRequest): Reply {
  return json(taskView(view, findTask(view, param(request, 'id'))));
}

/** The ids that the values of a filter name; undefined when it is not asked for. */
function resolved<Id>(filters: Filters, key: string, find: (ref: string) => Id): ReadonlySet<Id> | undefined {
  const refs = filters.get(key) ?? [];
  return refs.length === 0 ? undefined : new Set(refs.map(find));
}

/** A node that is called `self` comes first; else it is this one. */
function nodeIdOf(view: StoreView, ref: string, self: NodeId): NodeId {
  try {
    return findNode(view, ref).id;
  } catch (error) {
    if (ref === 'self' && codeOf(error) === 'NOT_FOUND') return self;
    throw error;
  }
}

/** Those of the services and nodes asked for, without looking at all the others, some at a time. */
function* candidates(
  { tasks }: StoreView,
  services: ReadonlySet<ServiceId> | undefined,
  nodes: ReadonlySet<NodeId> | undefined,
): Generator<readonly Task[]> {
  for (const id of services ?? []) {
    const found = tasks.byService(id);
    yield nodes === undefined
      ? found
      : found.filter(({ nodeId }) => nodeId !== undefined && nodes.has(nodeId));
  }
  if (services !== undefined) return;
  for (const id of nodes ?? []) yield tasks.byNode(id);
  if (nodes !== undefined) return;
  for (let some = tasks.following(undefined, SLICE_TASKS); some.length > 0; ) {
    yield some;
    some = tasks.following(some.at(-1)?.id, SLICE_TASKS);
  }
}

function isChosen(view: StoreView, task: Task, filters: Filters): boolean {
  return (
    fits(filters, 'id', (value) => task.id.startsWith(value)) &&
    fits(filters, 'desired-state', (value) => taskStateName(task.desired) === value) &&
    fits(filters, 'runtime', (value) => value === 'container' || value === '') &&
    fits(filters, 'name', (value) => nameOf(view, task).startsWith(value)) &&
    fitsLabels(filters, labelsOf(view, task))
  );
}

/** `web.1.<task>`, or `web.<node>.<task>` of a global service. */
function nameOf(view: StoreView, task: Task): string {
  const service = view.revision(task.serviceId, task.specVersion)?.serviceName ?? task.serviceId;
  return `${service}.${task.slot === 0 ? (task.nodeId ?? '') : task.slot}.${task.id}`;
}

function labelsOf(
  view: StoreView,
  { serviceId, specVersion }: Task,
): Readonly<Record<string, string>> | undefined {
  return view.revision(serviceId, specVersion)?.serviceLabels;
}

/** Whether tasks run what their services now say; each service is judged once. */
function upToDate(view: StoreView): (task: Task) => boolean {
  const states = new Map<ServiceId, ServiceState>();
  return (task) => {
    const service = view.services.get(task.serviceId);
    if (service === undefined) return false;
    const state = states.get(service.id) ?? new ServiceState(view, service);
    states.set(service.id, state);
    return !state.isOutdated(task);
  };
}
