import fc from 'fast-check';
import type { Change, Expectation, TableName } from '#manager/store/changes.ts';
import {
  type ClusterId,
  deriveTaskId,
  type Id,
  type NetworkId,
  type NodeId,
  type ServiceId,
} from '#proto/types/ids.ts';
import type { ServiceSpec } from '#proto/types/specs.ts';
import { TaskState } from '#proto/types/states.ts';
import {
  anyCluster,
  anyDesiredState,
  anyEndpoint,
  anyIpamConfigs,
  anyManagerStatus,
  anyNetwork,
  anyNetworkAttachments,
  anyNode,
  anyNodeDescription,
  anyNodeSpec,
  anyNodeStatus,
  anyTaskStatus,
  anyUpdateStatus,
} from './arbitraries.ts';
import { anyServiceSpec, flag } from './arbitrary-specs.ts';

/*
 * Any change and any transaction, over a handful of ids and names, so that changes meet each other: most find their
 * object, some don't, names clash, expectations hold or fail.
 */

const SERVICES = ['svc-a', 'svc-b'];
/** Mostly the first, so that task ids are found again. */
const EPOCHS = [0, 0, 0, 1];
const TASKS_EACH = 3;

/** One of the ids `kind`-1 to `kind`-3. */
function fewIds<Kind extends string>(kind: Kind): fc.Arbitrary<Id<Kind>> {
  return fc.constantFrom(1, 2, 3).map((number) => `${kind}-${number}` as Id<Kind>);
}

const serviceId = fc.constantFrom(...SERVICES).map((id) => id as Id<'service'>);
const nodeId = fewIds('node');
const networkId = fewIds('network');
const taskId = fc
  .tuple(serviceId, fc.constantFrom(...EPOCHS), fc.nat({ max: TASKS_EACH - 1 }))
  .map(([service, epoch, serial]) => deriveTaskId(service, epoch, serial));
const name = fc.constantFrom('web', 'db', 'cache');
const image = fc.constantFrom('nginx:1', 'nginx:2');
/** Mostly small ones, which clash and come back; now and then one with everything. */
const spec: fc.Arbitrary<ServiceSpec> = fc.oneof(
  {
    arbitrary: fc.tuple(name, image).map(([as, of]) => ({
      name: as,
      task: { container: { image: of } },
      mode: { kind: 'global' as const },
    })),
    weight: 4,
  },
  { arbitrary: fc.tuple(anyServiceSpec, name).map(([any, as]) => ({ ...any, name: as })), weight: 1 },
);
const count = fc.nat({ max: 1000 });

/** Optional fields that are there or not. */
function maybe<T extends object>(
  fields: { [Key in keyof T]: fc.Arbitrary<T[Key]> },
): fc.Arbitrary<Partial<T>> {
  return fc.record(fields, { requiredKeys: [], noNullPrototype: true }) as fc.Arbitrary<Partial<T>>;
}

function unstored<T extends { version: number; createdAtMs: number; updatedAtMs: number }>(
  row: T,
): Omit<T, 'version' | 'createdAtMs' | 'updatedAtMs'> {
  const { version: _, createdAtMs: __, updatedAtMs: ___, ...rest } = row;
  return rest;
}

const puts: fc.Arbitrary<Change>[] = [
  fc.tuple(anyCluster, fc.constantFrom(...EPOCHS)).map(([cluster, epoch]) => ({
    kind: 'putCluster',
    cluster: { ...unstored(cluster), id: 'cluster' as ClusterId, epoch },
  })),
  fc.tuple(anyNode, nodeId).map(([node, id]) => ({ kind: 'putNode', node: { ...unstored(node), id } })),
  fc
    .tuple(serviceId, spec, maybe({ pendingDelete: flag }))
    .map(([id, of, rest]) => ({ kind: 'putService', service: { id, spec: of, ...rest } })),
  fc.tuple(anyNetwork, networkId, name).map(([network, id, as]) => ({
    kind: 'putNetwork',
    network: { ...unstored(network), id, spec: { ...network.spec, name: as } },
  })),
];

const taskChanges: fc.Arbitrary<Change>[] = [
  fc
    .tuple(
      serviceId,
      fc.nat({ max: 4 }),
      anyDesiredState,
      maybe({ nodeId, startAfterMs: count, attempt: count }),
    )
    .map(([service, slot, desired, rest]) => ({
      kind: 'createTask',
      serviceId: service,
      slot,
      desired,
      ...rest,
    })),
  fc.tuple(taskId, anyNetworkAttachments).map(([id, networks]) => ({
    kind: 'allocateTask',
    taskId: id,
    networks,
  })),
  fc.tuple(taskId, nodeId).map(([id, node]) => ({ kind: 'assignTask', taskId: id, nodeId: node })),
  fc.tuple(taskId, anyDesiredState).map(([id, desired]) => ({ kind: 'setDesired', taskId: id, desired })),
  fc.tuple(taskId, anyTaskStatus).map(([id, status]) => ({ kind: 'setTaskStatus', taskId: id, status })),
  taskId.map((id) => ({ kind: 'releaseTask', taskId: id })),
];

const otherChanges: fc.Arbitrary<Change>[] = [
  fc.tuple(serviceId, anyEndpoint).map(([id, endpoint]) => ({
    kind: 'allocateService',
    serviceId: id,
    endpoint,
  })),
  fc.tuple(serviceId, anyUpdateStatus).map(([id, update]) => ({
    kind: 'setUpdateStatus',
    serviceId: id,
    update,
  })),
  fc
    .tuple(serviceId, maybe({ update: anyUpdateStatus }))
    .map(([id, rest]) => ({ kind: 'rollBackService', serviceId: id, ...rest })),
  fc
    .tuple(networkId, anyIpamConfigs, maybe({ vni: count }))
    .map(([id, ipam, rest]) => ({ kind: 'allocateNetwork', networkId: id, ipam, ...rest })),
  fc.tuple(nodeId, count).map(([id, meshIndex]) => ({ kind: 'allocateNode', nodeId: id, meshIndex })),
  fc
    .tuple(nodeId, anyNodeStatus, maybe({ description: anyNodeDescription }))
    .map(([id, status, rest]) => ({ kind: 'setNodeStatus', nodeId: id, status, ...rest })),
  fc
    .tuple(nodeId, maybe({ manager: anyManagerStatus }))
    .map(([id, rest]) => ({ kind: 'setManagerStatus', nodeId: id, ...rest })),
  fc.tuple(nodeId, fc.constantFrom('worker', 'manager'), count).map(([id, role, atMs]) => ({
    kind: 'setNodeRole',
    nodeId: id,
    role,
    certificateExpiresAtMs: atMs,
  })),
  fc.tuple(nodeId, anyNodeSpec).map(([id, spec]) => ({ kind: 'setNodeSpec', nodeId: id, spec })),
  fc
    .oneof(
      fc.tuple(fc.constant('task'), taskId),
      fc.tuple(fc.constant('service'), serviceId),
      fc.tuple(fc.constant('node'), nodeId),
      fc.tuple(fc.constant('network'), networkId as fc.Arbitrary<NetworkId>),
    )
    .map(([table, id]) => ({ kind: 'delete', table: table as 'task', id })),
];

/** Every kind of change; those that make services and tasks come often enough to have some. */
export const anyChange: fc.Arbitrary<Change> = fc.oneof(
  ...puts.map((arbitrary) => ({ arbitrary, weight: 2 })),
  ...taskChanges.map((arbitrary) => ({ arbitrary, weight: 4 })),
  ...otherChanges.map((arbitrary) => ({ arbitrary, weight: 1 })),
);

const anyExpectation: fc.Arbitrary<Expectation> = fc.record(
  {
    table: fc.constantFrom<TableName>('node', 'service', 'network', 'task'),
    id: fc.oneof(serviceId, nodeId, networkId, taskId),
    version: fc.constantFrom(0, 0, 0, 1, 2, 3),
  },
  { noNullPrototype: true },
);

/** A transaction as a writer gives it; most expect nothing. */
export const anyTransaction = fc.record(
  {
    expects: fc.oneof(
      { arbitrary: fc.constant([]), weight: 4 },
      { arbitrary: fc.array(anyExpectation, { maxLength: 2 }), weight: 1 },
    ),
    changes: fc.array(anyChange, { maxLength: 8, size: 'max' }),
  },
  { noNullPrototype: true },
);

/** Two services with tasks, and two nodes: something for what follows to happen to. */
const prologue: readonly Change[] = [
  ...SERVICES.map((id, i): Change => {
    const of: ServiceSpec = {
      name: i === 0 ? 'web' : 'db',
      task: { container: { image: 'nginx:1' } },
      mode: { kind: 'global' },
    };
    return { kind: 'putService', service: { id: id as ServiceId, spec: of } };
  }),
  ...['node-1', 'node-2'].map((id): Change => {
    const of = { role: 'worker', availability: 'active' } as const;
    return {
      kind: 'putNode',
      node: { id: id as NodeId, spec: of, role: 'worker', status: { state: 'ready' } },
    };
  }),
  ...[...SERVICES, ...SERVICES].map(
    (id, i): Change => ({
      kind: 'createTask',
      serviceId: id as ServiceId,
      slot: i,
      desired: TaskState.Running,
    }),
  ),
];

/** What writers do one after the other. */
export const anyTransactions = fc
  .array(anyTransaction, { maxLength: 16, size: 'max' })
  .map((transactions) => [{ expects: [], changes: prologue }, ...transactions]);
