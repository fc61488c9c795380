import { deriveTaskId, type NodeId, type TaskId } from '#proto/types/ids.ts';
import type { NetworkAttachment, Task, TaskStatus } from '#proto/types/objects.ts';
import { type DesiredState, TaskState } from '#proto/types/states.ts';
import type { ChangeOf } from '../changes.ts';
import { sameValue } from '../same.ts';
import { maybeDropRevision } from './services.ts';
import type { Writer } from './writer.ts';

/** Tasks: states only grow, and what is gone or has moved on is left alone. */

const NO_NETWORKS: readonly NetworkAttachment[] = Object.freeze([]);

export function createTask(writer: Writer, change: ChangeOf<'createTask'>): void {
  const service = writer.tables.get('service', change.serviceId);
  if (service === undefined) return;
  writer.putCounters('service', { ...service, tasksMade: service.tasksMade + 1 });
  const id = deriveTaskId(service.id, epochOf(writer), service.tasksMade);
  // Two serials with one id: as good as never, and then this task is simply planned again.
  if (writer.tables.get('task', id) !== undefined) return;
  const { kind: _, ...given } = change;
  writer.put('task', {
    id,
    ...given,
    specVersion: service.specVersion,
    status: statusOf(writer, TaskState.New, 'created'),
    networks: NO_NETWORKS,
  });
}

function epochOf(writer: Writer): number {
  for (const cluster of writer.tables.clusters.all()) return cluster.epoch;
  return 0;
}

/** A state that managers give. The words are Swarm's. */
function statusOf(writer: Writer, state: TaskState, message: string): TaskStatus {
  return Object.freeze({ state, atMs: writer.atMs, message });
}

export function allocateTask(writer: Writer, id: TaskId, networks: readonly NetworkAttachment[]): void {
  const task = writer.tables.get('task', id);
  if (task?.status.state !== TaskState.New) return;
  const status = statusOf(writer, TaskState.Pending, 'pending task scheduling');
  writer.put('task', { ...task, networks, status });
}

export function assignTask(writer: Writer, id: TaskId, nodeId: NodeId): void {
  const task = writer.tables.get('task', id);
  if (task?.status.state !== TaskState.Pending || writer.tables.get('node', nodeId) === undefined) return;
  const status = statusOf(writer, TaskState.Assigned, 'scheduler assigned task to node');
  writer.put('task', { ...task, nodeId, status });
}

export function setDesired(writer: Writer, id: TaskId, desired: DesiredState): void {
  const task = writer.tables.get('task', id);
  if (task === undefined || task.desired >= desired) return;
  const leaves = desired >= TaskState.Shutdown && task.leavingVersion === undefined;
  writer.put('task', { ...task, desired, ...(leaves ? { leavingVersion: writer.version } : {}) });
}

export function setTaskStatus(writer: Writer, id: TaskId, status: TaskStatus): void {
  const task = writer.tables.get('task', id);
  if (task === undefined || task.status.state > status.state) return;
  const next = keepStart(task, status);
  if (!sameValue(task.status, next)) writer.put('task', { ...task, status: next });
}

/** When a task first ran is kept, also where its last status comes from somebody who doesn't know. */
function keepStart({ status: { startedAtMs } }: Task, status: TaskStatus): TaskStatus {
  if (startedAtMs === undefined || status.startedAtMs !== undefined) return status;
  return Object.freeze({ ...status, startedAtMs });
}

export function releaseTask(writer: Writer, id: TaskId): void {
  const task = writer.tables.get('task', id);
  if (task !== undefined && !task.released) writer.put('task', { ...task, released: true });
}

export function deleteTask(writer: Writer, id: string): void {
  const task = writer.tables.get('task', id);
  if (task === undefined) return;
  writer.remove('task', id);
  maybeDropRevision(writer, task.serviceId, task.specVersion);
}
