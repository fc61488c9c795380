import { ShoalError } from '../base/errors.ts';
import type * as wire from '../gen/shoal.ts';
import type { NetworkId, ServiceId } from '../types/ids.ts';
import type { Endpoint, Revision, Service, Stored, UpdateStatus, VirtualIp } from '../types/objects.ts';
import type {
  EndpointMode,
  EndpointSpec,
  FailureAction,
  ServiceMode,
  ServiceSpec,
  UpdateConfig,
  UpdateOrder,
} from '../types/specs.ts';
import type { UpdateState } from '../types/states.ts';
import { portItems, ports, storedObject } from './common.ts';
import {
  type Converter,
  flag,
  fraction,
  id,
  int64,
  list,
  optional,
  shape,
  text,
  textMap,
  uint64,
  word,
} from './shape.ts';
import { taskSpec } from './task-spec.ts';

const endpointMode = word<EndpointMode>('endpoint mode', { vip: true, dnsrr: true });

const replicated = shape<{ replicas: number }, wire.ServiceModeReplicated>('replicated mode', {
  replicas: uint64,
});
const replicatedJob = shape<
  { maxConcurrent: number; totalCompletions: number },
  wire.ServiceModeReplicatedJob
>('replicated job', { maxConcurrent: uint64, totalCompletions: uint64 });

const mode: Converter<ServiceMode, wire.ServiceMode> = {
  toWire(value) {
    switch (value.kind) {
      case 'replicated':
        return { replicated: replicated.toWire(value) };
      case 'global':
        return { global: {} };
      case 'replicated-job':
        return { replicatedJob: replicatedJob.toWire(value) };
      case 'global-job':
        return { globalJob: {} };
    }
  },
  fromWire(message) {
    if (message.replicated)
      return Object.freeze({ kind: 'replicated', ...replicated.fromWire(message.replicated) });
    if (message.global) return Object.freeze({ kind: 'global' });
    if (message.replicatedJob)
      return Object.freeze({ kind: 'replicated-job', ...replicatedJob.fromWire(message.replicatedJob) });
    if (message.globalJob) return Object.freeze({ kind: 'global-job' });
    throw new ShoalError('INVALID_ARGUMENT', 'service mode: it is none of the known ones');
  },
};

const updateConfig = shape<UpdateConfig, wire.UpdateConfig>('update config', {
  parallelism: optional(uint64),
  delayNs: optional(int64),
  failureAction: optional(
    word<FailureAction>('failure action', { pause: true, continue: true, rollback: true }),
  ),
  monitorNs: optional(int64),
  maxFailureRatio: optional(fraction),
  order: optional(word<UpdateOrder>('update order', { 'stop-first': true, 'start-first': true })),
});

const endpointSpec = shape<EndpointSpec, wire.EndpointSpec>('endpoint spec', {
  mode: optional(endpointMode),
  ports: optional(portItems),
});

export const serviceSpec = shape<ServiceSpec, wire.ServiceSpec>('service spec', {
  name: text,
  labels: optional(textMap),
  task: taskSpec,
  mode,
  update: optional(updateConfig),
  rollback: optional(updateConfig),
  endpoint: optional(endpointSpec),
});

export const endpoint = shape<Endpoint, wire.Endpoint>('endpoint', {
  mode: endpointMode,
  ports,
  vips: list(shape<VirtualIp, wire.VirtualIp>('virtual IP', { networkId: id<NetworkId>(), addr: text })),
});

export const updateStatus = shape<UpdateStatus, wire.UpdateStatus>('update status', {
  state: word<UpdateState>('update state', {
    updating: true,
    paused: true,
    completed: true,
    rollback_started: true,
    rollback_paused: true,
    rollback_completed: true,
  }),
  startedAtMs: uint64,
  completedAtMs: optional(uint64),
  message: text,
  targetVersion: uint64,
});

const serviceBody = shape<Omit<Service, keyof Stored>, Omit<wire.Service, 'stored'>>('service', {
  id: id<ServiceId>(),
  spec: serviceSpec,
  specVersion: uint64,
  previousSpec: optional(serviceSpec),
  previousSpecVersion: optional(uint64),
  endpoint: optional(endpoint),
  update: optional(updateStatus),
  tasksMade: uint64,
  pendingDelete: optional(flag),
});

export const service = storedObject<Service, wire.Service>('service', serviceBody);

const revisionBody = shape<Omit<Revision, keyof Stored>, Omit<wire.Revision, 'stored'>>('revision', {
  serviceId: id<ServiceId>(),
  specVersion: uint64,
  task: taskSpec,
  serviceName: text,
  serviceLabels: optional(textMap),
  ports: optional(portItems),
});

export const revision = storedObject<Revision, wire.Revision>('revision', revisionBody);
