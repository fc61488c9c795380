import { ShoalError } from '#proto/base/errors.ts';
import { unstoredCluster } from '#proto/convert/cluster.ts';
import { ipamConfigs, unstoredNetwork } from '#proto/convert/network.ts';
import {
  managerStatus,
  nodeDescription,
  nodeRole,
  nodeSpec,
  nodeStatus,
  unstoredNode,
} from '#proto/convert/node.ts';
import { endpoint, serviceSpec, updateStatus } from '#proto/convert/service.ts';
import {
  type Converter,
  flag,
  id,
  list,
  optional,
  shape,
  text,
  uint32,
  uint64,
  word,
} from '#proto/convert/shape.ts';
import { desiredState, networkAttachments, taskStatus } from '#proto/convert/task.ts';
import type * as wire from '#proto/gen/shoal.ts';
import { decode, encode } from '#proto/rpc/codec.ts';
import type { NetworkId, NodeId, ServiceId, TaskId } from '#proto/types/ids.ts';
import type { Change, ChangeOf, Expectation, TableName, Transaction } from './changes.ts';
import type { TransactionName, TransactionPart } from './parts.ts';

/** The form of entries with whole transactions, and that of entries with a part of one: the newest that is read. */
const FORMAT = 1;
const PART_FORMAT = 2;

/** A transaction as the log has it: with the name of the proposer that waits for its outcome. */
export interface LoggedTransaction extends Transaction, TransactionName {}

/** What an entry holds: transactions, or a part of one. */
export interface EntryContent {
  readonly transactions: readonly LoggedTransaction[];
  readonly part?: TransactionPart;
}

type Kind = Change['kind'];
type Body<K extends Kind> = Omit<ChangeOf<K>, 'kind'>;
type WireBody<K extends Kind> = NonNullable<wire.Change[K]>;

const serviceId = id<ServiceId>();
const taskId = id<TaskId>();
const nodeId = id<NodeId>();
const networkId = id<NetworkId>();

type PutService = ChangeOf<'putService'>['service'];

/** Of a service only what a put says. */
const putService = shape<PutService, Pick<wire.Service, 'id' | 'spec' | 'pendingDelete'>>('service', {
  id: serviceId,
  spec: serviceSpec,
  pendingDelete: optional(flag),
}) as Converter<PutService, wire.Service>;

/** A change whose one field is the message itself. */
function wrapped<Key extends string, Domain, Wire>(
  key: Key,
  converter: Converter<Domain, Wire>,
): Converter<Readonly<Record<Key, Domain>>, Wire> {
  return {
    toWire: (body) => converter.toWire(body[key]),
    fromWire: (message) => ({ [key]: converter.fromWire(message) }) as Record<Key, Domain>,
  };
}

/** How each kind of change travels; its kind is the name of the field that is set. */
const bodies: { readonly [K in Kind]: Converter<Body<K>, WireBody<K>> } = {
  putCluster: wrapped('cluster', unstoredCluster),
  putNode: wrapped('node', unstoredNode),
  putService: wrapped('service', putService),
  putNetwork: wrapped('network', unstoredNetwork),
  createTask: shape<Body<'createTask'>, wire.ChangeCreateTask>('create task', {
    serviceId,
    slot: uint64,
    nodeId: optional(nodeId),
    desired: desiredState,
    startAfterMs: optional(uint64),
    attempt: optional(uint32),
  }),
  allocateTask: shape<Body<'allocateTask'>, wire.ChangeAllocateTask>('allocate task', {
    taskId,
    networks: networkAttachments,
  }),
  assignTask: shape<Body<'assignTask'>, wire.ChangeAssignTask>('assign task', { taskId, nodeId }),
  setDesired: shape<Body<'setDesired'>, wire.ChangeSetDesired>('set desired state', {
    taskId,
    desired: desiredState,
  }),
  setTaskStatus: shape<Body<'setTaskStatus'>, wire.ChangeSetTaskStatus>('set task status', {
    taskId,
    status: taskStatus,
  }),
  releaseTask: shape<Body<'releaseTask'>, wire.ChangeReleaseTask>('release task', { taskId }),
  allocateService: shape<Body<'allocateService'>, wire.ChangeAllocateService>('allocate service', {
    serviceId,
    endpoint,
  }),
  setUpdateStatus: shape<Body<'setUpdateStatus'>, wire.ChangeSetUpdateStatus>('set update status', {
    serviceId,
    update: updateStatus,
  }),
  rollBackService: shape<Body<'rollBackService'>, wire.ChangeRollBackService>('roll back service', {
    serviceId,
    update: optional(updateStatus),
  }),
  allocateNetwork: shape<Body<'allocateNetwork'>, wire.ChangeAllocateNetwork>('allocate network', {
    networkId,
    vni: optional(uint32),
    ipam: ipamConfigs,
  }),
  allocateNode: shape<Body<'allocateNode'>, wire.ChangeAllocateNode>('allocate node', {
    nodeId,
    meshIndex: uint32,
  }),
  setNodeStatus: shape<Body<'setNodeStatus'>, wire.ChangeSetNodeStatus>('set node status', {
    nodeId,
    status: nodeStatus,
    description: optional(nodeDescription),
  }),
  setManagerStatus: shape<Body<'setManagerStatus'>, wire.ChangeSetManagerStatus>('set manager status', {
    nodeId,
    manager: optional(managerStatus),
  }),
  setNodeRole: shape<Body<'setNodeRole'>, wire.ChangeSetNodeRole>('set node role', {
    nodeId,
    role: nodeRole,
    certificateExpiresAtMs: uint64,
  }),
  setNodeSpec: shape<Body<'setNodeSpec'>, wire.ChangeSetNodeSpec>('set node spec', {
    nodeId,
    spec: nodeSpec,
  }),
  delete: shape<Body<'delete'>, wire.ChangeDelete>('delete', {
    table: word<Body<'delete'>['table']>('table', { node: true, service: true, network: true, task: true }),
    id: text,
  }),
};

const change: Converter<Change, wire.Change> = {
  toWire: (value) => ({ [value.kind]: converterOf(value.kind).toWire(value) }),
  fromWire(message) {
    for (const [key, body] of Object.entries(message)) {
      if (!Object.hasOwn(bodies, key)) continue;
      const kind = key as Kind;
      return { kind, ...(converterOf(kind).fromWire(body) as object) } as Change;
    }
    throw new ShoalError('INVALID_ARGUMENT', 'change: it is of none of the kinds this version knows');
  },
};

function converterOf(kind: Kind): Converter<unknown, unknown> {
  return bodies[kind] as Converter<unknown, unknown>;
}

const expectation = shape<Expectation, wire.Expectation>('expectation', {
  table: word<TableName>('table', {
    cluster: true,
    node: true,
    service: true,
    network: true,
    revision: true,
    task: true,
  }),
  id: text,
  version: uint64,
});

const transaction = shape<LoggedTransaction, wire.Transaction>('transaction', {
  proposer: uint64,
  serial: uint64,
  atMs: uint64,
  expects: list(expectation),
  changes: list(change),
});

const HEADER = encode('LogEntry', { format: FORMAT });

/**
 * A transaction as its place in an entry: they can be made one by one, and joined. ShoalError INVALID_ARGUMENT for
 * values that the log can't hold.
 */
export function encodeTransaction(value: LoggedTransaction): Uint8Array {
  return encode('LogEntry', { transactions: [transaction.toWire(value)] });
}

/** Bytes that the largest of these changes takes in an entry. */
export function largestOf(changes: readonly Change[]): number {
  return changes.reduce((max, each) => Math.max(max, encode('Change', change.toWire(each)).length), 0);
}

/** The entry of these transactions: messages put one after the other are one message with all of theirs. */
export function joinEntry(transactions: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([HEADER, ...transactions]);
}

/** What an entry is longer than its transactions. */
export const ENTRY_HEADER_BYTES = HEADER.length;

/** The entry of a part of an encoded transaction. */
export function encodePart(part: TransactionPart): Uint8Array {
  return encode('LogEntry', { format: PART_FORMAT, part });
}

/** The transaction of all its parts. */
export function decodeParts(parts: readonly TransactionPart[]): readonly LoggedTransaction[] {
  return decodeEntry(joinEntry(parts.map(({ data }) => data))).transactions;
}

/** Throws on what is no entry, or is one of a newer version of Shoal. */
export function decodeEntry(data: Uint8Array): EntryContent {
  const { format, transactions, part } = decode('LogEntry', data);
  if (format === FORMAT) return { transactions: transactions.map(transaction.fromWire) };
  if (format === PART_FORMAT && part) return { transactions: [], part: ownPart(part) };
  throw new ShoalError(
    'INTERNAL',
    `log entry of format ${format}: this version of Shoal reads formats ${FORMAT} and ${PART_FORMAT}, so a newer one is needed here`,
  );
}

/** A part outlives its entry, and must not hold on to all that came with it. */
export function ownPart({ proposer, serial, number, count, data }: wire.TransactionPart): TransactionPart {
  return { proposer, serial, number, count, data: new Uint8Array(data) };
}
