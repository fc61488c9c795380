import { LIMITS } from '#proto/base/limits.ts';
import type { NetworkId } from '#proto/types/ids.ts';
import type { Network, Service, Task } from '#proto/types/objects.ts';
import { networkIdsOf } from '#proto/types/specs.ts';
import { TaskState } from '#proto/types/states.ts';
import { isDead } from '#scheduler/slots.ts';
import type { Controller, Situation } from '../leader/controller.ts';
import type { Change } from '../store/changes.ts';
import type { StoreView } from '../store/view.ts';
import { hasTasksOn } from './network-tasks.ts';
import { ServiceState, servicesToLookAt, updateConfigOf } from './service-state.ts';
import { activeOf, newestOf, type Slot } from './slots.ts';
import { isFailure, type Progress } from './update-progress.ts';

/**
 * What is over is cleared away: tasks asked to go, history beyond what is kept, services and networks whose last task is
 * gone, tasks of services and global tasks of nodes that are no more.
 */
export const reaper: Controller = {
  name: 'reaper',
  wakesOn: ['cluster', 'service', 'network', 'node', 'task'],
  plan(view, situation) {
    const changes = servicesToLookAt(view, situation).flatMap((service) =>
      planService(view, service, situation.nowMs),
    );
    return { changes: [...changes, ...networks(view), ...strays(view, situation)] };
  },
};

function planService(view: StoreView, service: Service, nowMs: number): Change[] {
  const tasks = view.tasks.byService(service.id);
  const removed = tasks.filter((task) => task.desired === TaskState.Remove && isDead(task)).map(drop);
  if (!service.pendingDelete) return [...removed, ...history(view, service, nowMs)];
  if (tasks.length === 0) return [{ kind: 'delete', table: 'service', id: service.id }];
  return [...removed, ...tasks.filter((task) => task.desired < TaskState.Remove).map(sendAway)];
}

function history(view: StoreView, service: Service, nowMs: number): Change[] {
  const state = new ServiceState(view, service);
  const progress: Progress = { state, config: updateConfigOf(service), nowMs };
  const limit = view.cluster?.spec.taskHistoryPerSlot ?? LIMITS.taskHistoryPerSlot;
  return state.slots.flatMap((slot) => {
    if (state.isGlobal && state.node(slot) === undefined) return slot.tasks.map(sendAway);
    const dead = slot.tasks.filter((task) => isDead(task) && !isEvidence(progress, slot, task));
    return limit < 0 ? [] : dead.slice(0, Math.max(0, dead.length - limit)).map(drop);
  });
}

/**
 * Ended tasks that others still judge by: the last one of a slot with nothing active, whose end says whether there is to
 * be a next; and the failure that counts against an update that is under way.
 */
function isEvidence(progress: Progress, slot: Slot, task: Task): boolean {
  if (activeOf(slot).length === 0 && newestOf(slot) === task) return true;
  const status = progress.state.service.update;
  if (status?.state !== 'updating' && status?.state !== 'rollback_started') return false;
  return slot.tasks.find((other) => isFailure(progress, status, other)) === task;
}

/** Tasks whose service is gone. */
function strays(view: StoreView, { services }: Situation): Change[] {
  const known = services ?? new Set([...view.tasks.revisions()].map(({ serviceId }) => serviceId));
  const gone = [...known].filter((id) => view.services.get(id) === undefined);
  const tasks = gone.sort().flatMap((id) => view.tasks.byService(id));
  return tasks.flatMap((task) => {
    if (isDead(task)) return [drop(task)];
    return task.desired < TaskState.Remove ? [sendAway(task)] : [];
  });
}

function networks(view: StoreView): Change[] {
  const leaving = [...view.networks.all()].filter((network) => network.pendingDelete);
  if (leaving.length === 0) return [];
  return leaving.filter((network) => !isUsed(view, network.id)).map(dropNetwork);
}

function isUsed(view: StoreView, id: NetworkId): boolean {
  for (const { spec } of view.services.all()) if (networkIdsOf(spec.task).includes(id)) return true;
  return hasTasksOn(view, id);
}

function drop(task: Task): Change {
  return { kind: 'delete', table: 'task', id: task.id };
}

function dropNetwork(network: Network): Change {
  return { kind: 'delete', table: 'network', id: network.id };
}

function sendAway(task: Task): Change {
  return { kind: 'setDesired', taskId: task.id, desired: TaskState.Remove };
}
