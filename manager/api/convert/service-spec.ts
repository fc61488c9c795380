import { ShoalError } from '#proto/base/errors.ts';
import { UPDATE_DEFAULTS } from '#proto/types/defaults.ts';
import type {
  EndpointMode,
  EndpointSpec,
  FailureAction,
  NetworkAttachmentConfig,
  PortConfig,
  ServiceMode,
  ServiceSpec,
  UpdateConfig,
  UpdateOrder,
} from '#proto/types/specs.ts';
import {
  count,
  type Field,
  filled,
  fraction,
  givenCount,
  list,
  object,
  shown,
  text,
  textMap,
  type Whole,
  whole,
  word,
} from './fields.ts';
import { networkAttachments, taskSpec } from './task-spec.ts';

const replicas = object<{ readonly replicas: number }>({ replicas: ['Replicas', filled(givenCount, 1)] });
const job = object<{ readonly maxConcurrent: number; readonly totalCompletions?: number }>({
  maxConcurrent: ['MaxConcurrent', filled(givenCount, 1)],
  totalCompletions: ['TotalCompletions', givenCount],
});
const nothing = object<Record<never, never>>({});
const modes = object<{
  readonly replicated?: { readonly replicas: number };
  readonly global?: object;
  readonly replicatedJob?: { readonly maxConcurrent: number; readonly totalCompletions?: number };
  readonly globalJob?: object;
}>({
  replicated: ['Replicated', replicas],
  global: ['Global', nothing],
  replicatedJob: ['ReplicatedJob', job],
  globalJob: ['GlobalJob', nothing],
});

const mode: Whole<ServiceMode> = {
  decode(json, path) {
    const given = modes.decode(json, path) ?? {};
    if (Object.keys(given).length > 1)
      throw new ShoalError('INVALID_ARGUMENT', 'must specify only one service mode');
    if (given.global !== undefined) return { kind: 'global' };
    if (given.globalJob !== undefined) return { kind: 'global-job' };
    if (given.replicatedJob !== undefined) return replicatedJob(given.replicatedJob);
    return { kind: 'replicated', replicas: given.replicated?.replicas ?? 1 };
  },
  encode: (value) => value && modes.encode(modesOf(value)),
};

function replicatedJob({
  maxConcurrent,
  totalCompletions = maxConcurrent,
}: {
  readonly maxConcurrent: number;
  readonly totalCompletions?: number;
}): ServiceMode {
  return { kind: 'replicated-job', maxConcurrent, totalCompletions };
}

function modesOf(value: ServiceMode): Parameters<typeof modes.encode>[0] {
  switch (value.kind) {
    case 'replicated':
      return { replicated: { replicas: value.replicas } };
    case 'global':
      return { global: {} };
    case 'replicated-job': {
      const { maxConcurrent, totalCompletions } = value;
      return { replicatedJob: { maxConcurrent, totalCompletions } };
    }
    case 'global-job':
      return { globalJob: {} };
  }
}

/** An update config that is given has every field that the Engine always shows; parallelism 0 is all at once. */
const updateConfig = object<UpdateConfig>({
  parallelism: ['Parallelism', filled(givenCount, 0)],
  delayNs: ['Delay', whole],
  failureAction: [
    'FailureAction',
    filled(
      word<FailureAction>(
        ['pause', 'continue', 'rollback'],
        (given) => `unrecognized update failure action ${given}`,
      ),
      UPDATE_DEFAULTS.failureAction,
    ),
  ],
  monitorNs: ['Monitor', whole],
  maxFailureRatio: ['MaxFailureRatio', filled(fraction, 0)],
  order: [
    'Order',
    filled(
      word<UpdateOrder>(['stop-first', 'start-first'], (given) => `unrecognized update order ${given}`),
      UPDATE_DEFAULTS.order,
    ),
  ],
});

export const portConfig = object<PortConfig>({
  name: ['Name', text],
  protocol: [
    'Protocol',
    filled(
      word(['tcp', 'udp', 'sctp'], (given) => `invalid protocol: "${given}"`),
      'tcp',
    ),
  ],
  targetPort: ['TargetPort', filled(count, 0)],
  publishedPort: ['PublishedPort', count],
  publishMode: [
    'PublishMode',
    filled(
      word(['ingress', 'host'], (given) => `invalid publish mode: "${given}"`),
      'ingress',
    ),
  ],
});

export const endpointSpec = object<EndpointSpec>({
  mode: [
    'Mode',
    filled(
      word<EndpointMode>(['vip', 'dnsrr'], (given) => `invalid resolution mode: "${given}"`),
      'vip',
    ),
  ],
  ports: ['Ports', list(portConfig)],
});

interface WireServiceSpec extends ServiceSpec {
  /** Where networks were given before 1.25, and still may be. */
  readonly networks?: readonly NetworkAttachmentConfig[];
}

const wireServiceSpec = object<WireServiceSpec>({
  name: ['Name', filled(text, '')],
  labels: ['Labels', shown(textMap, {})],
  task: ['TaskTemplate', taskSpec],
  mode: ['Mode', mode],
  update: ['UpdateConfig', updateConfig],
  rollback: ['RollbackConfig', updateConfig],
  networks: ['Networks', networkAttachments],
  endpoint: ['EndpointSpec', endpointSpec],
});

/** A service's spec: what a client sends, and what it gets back. */
export const serviceSpec: Field<ServiceSpec> = {
  decode(json, path) {
    const wire = wireServiceSpec.decode(json, path);
    if (wire === undefined) return undefined;
    const { networks, ...spec } = wire;
    if (networks === undefined || spec.task.networks !== undefined) return spec;
    return { ...spec, task: { ...spec.task, networks } };
  },
  encode: (spec) => wireServiceSpec.encode(spec),
};
