import type * as wire from '../gen/shoal.ts';
import type { NetworkId, NodeId, ServiceId, TaskId } from '../types/ids.ts';
import type { NetworkAttachment, Stored, Task, TaskStatus } from '../types/objects.ts';
import { type DesiredState, TaskState } from '../types/states.ts';
import { portItems, storedObject } from './common.ts';
import { code, flag, id, int32, list, optional, shape, text, texts, uint32, uint64 } from './shape.ts';

export const taskState = code<TaskState>('task state', Object.values(TaskState));

export const desiredState = code<DesiredState>('desired state', [
  TaskState.Ready,
  TaskState.Running,
  TaskState.Complete,
  TaskState.Shutdown,
  TaskState.Remove,
]);

type Container = NonNullable<TaskStatus['container']>;

const container = shape<Container, wire.TaskStatusContainer>('container of a task', {
  id: text,
  pid: optional(uint32),
  exitCode: optional(int32),
});

export const taskStatus = shape<TaskStatus, wire.TaskStatus>('task status', {
  state: taskState,
  atMs: uint64,
  message: text,
  error: optional(text),
  container: optional(container),
  meshAddr: optional(text),
  ports: optional(portItems),
  startedAtMs: optional(uint64),
});

export const networkAttachments = list(
  shape<NetworkAttachment, wire.NetworkAttachment>('network of a task', {
    networkId: id<NetworkId>(),
    addresses: list(text),
    aliases: optional(texts),
  }),
);

const taskBody = shape<Omit<Task, keyof Stored>, Omit<wire.Task, 'stored'>>('task', {
  id: id<TaskId>(),
  serviceId: id<ServiceId>(),
  specVersion: uint64,
  slot: uint64,
  nodeId: optional(id<NodeId>()),
  desired: desiredState,
  status: taskStatus,
  networks: networkAttachments,
  startAfterMs: optional(uint64),
  leavingVersion: optional(uint64),
  released: optional(flag),
  attempt: optional(uint32),
});

export const task = storedObject<Task, wire.Task>('task', taskBody);
