import type { TaskContext } from '#agent/exec/executor.ts';
import { type Assigned, type AssignedTask, revisionKey } from '#proto/types/assignments.ts';
import type { NodeId, ServiceId, TaskId } from '#proto/types/ids.ts';
import type { NodeDescription, Revision } from '#proto/types/objects.ts';
import type { LabelMap } from '#proto/types/specs.ts';
import { TaskState } from '#proto/types/states.ts';

const SERVICE = 'service1' as ServiceId;
const SPEC_VERSION = 7;

export const SELF: Assigned['self'] = {
  nodeId: 'node1' as NodeId,
  meshPool: '100.64.0.0/10',
  meshIndex: 1,
  dataPathPort: 4789,
};

export const DESCRIPTION: NodeDescription = {
  hostname: 'alpha',
  platform: { architecture: 'x86_64', os: 'linux' },
  resources: { nanoCpus: 2e9, memoryBytes: 2 ** 30 },
  engine: { version: 'test' },
  peerAddr: '',
  dataPathAddr: '',
};

/** A task as managers assign it; everything has a default. */
export function assignedTask(id: string, overrides: Partial<AssignedTask> = {}): AssignedTask {
  return {
    id: id as TaskId,
    serviceId: SERVICE,
    specVersion: SPEC_VERSION,
    slot: 1,
    desired: TaskState.Running,
    state: TaskState.Assigned,
    networks: [],
    released: false,
    ...overrides,
  };
}

/** The revision that assignedTask() runs; `labels` script the mock executor. */
export function revision(labels: LabelMap = {}): Revision {
  return {
    version: SPEC_VERSION,
    createdAtMs: 0,
    updatedAtMs: 0,
    serviceId: SERVICE,
    specVersion: SPEC_VERSION,
    serviceName: 'web',
    task: { container: { image: 'web:1', labels } },
  };
}

/** Everything a node is told when these tasks are its own. */
export function assigned(tasks: readonly AssignedTask[], labels: LabelMap = {}): Assigned {
  return {
    version: 10,
    self: SELF,
    peers: new Map(),
    networks: new Map(),
    services: new Map(),
    endpoints: new Map(),
    tasks: new Map(tasks.map((task) => [task.id, task])),
    revisions: new Map([[revisionKey(SERVICE, SPEC_VERSION), revision(labels)]]),
  };
}

export function taskContext(id: string, labels: LabelMap = {}): TaskContext {
  return {
    task: assignedTask(id),
    revision: revision(labels),
    node: { ...SELF, hostname: 'alpha' },
    networks: [],
  };
}
