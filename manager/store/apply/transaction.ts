import { unreachable } from '#proto/base/assert.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { Service } from '#proto/types/objects.ts';
import type { Change, Expectation, Transaction } from '../changes.ts';
import type { Tables } from '../tables.ts';
import type { StoreEvent } from '../view.ts';
import { allocateNetwork, putNetwork } from './networks.ts';
import { allocateNode, putNode, setManagerStatus, setNodeRole, setNodeSpec, setNodeStatus } from './nodes.ts';
import { allocateService, deleteService, putService, rollBackService, setUpdateStatus } from './services.ts';
import {
  allocateTask,
  assignTask,
  createTask,
  deleteTask,
  releaseTask,
  setDesired,
  setTaskStatus,
} from './tasks.ts';
import { Writer } from './writer.ts';

/** What came of a transaction: what it did, or why it did nothing. */
export type Outcome = { readonly events: readonly StoreEvent[] } | { readonly refused: ShoalError };

/**
 * Applies one transaction to the tables, at the version of the entry it came in: whole, or not at all.
 * Deterministic: the same tables and the same transaction give the same rows, everywhere and always.
 */
export function applyTransaction(tables: Tables, transaction: Transaction, version: number): Outcome {
  if (!transaction.expects.every((expected) => holds(tables, expected)))
    return { refused: new ShoalError('OUT_OF_SEQUENCE', 'update out of sequence') };
  const writer = new Writer(tables, version, transaction.atMs);
  try {
    for (const change of transaction.changes) applyChange(writer, change);
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    writer.undo();
    return { refused: error };
  }
  return { events: writer.events() };
}

function holds(tables: Tables, { table, id, version }: Expectation): boolean {
  const row = tables.get(table, id);
  if (row === undefined) return version === 0;
  if (table !== 'service') return row.version === version;
  return (row as Service).specVersion <= version && version <= row.version;
}

function applyChange(writer: Writer, change: Change): void {
  switch (change.kind) {
    case 'putCluster':
      return writer.put('cluster', change.cluster);
    case 'putNode':
      return putNode(writer, change);
    case 'putService':
      return putService(writer, change);
    case 'putNetwork':
      return putNetwork(writer, change);
    case 'createTask':
      return createTask(writer, change);
    case 'allocateTask':
      return allocateTask(writer, change.taskId, change.networks);
    case 'assignTask':
      return assignTask(writer, change.taskId, change.nodeId);
    case 'setDesired':
      return setDesired(writer, change.taskId, change.desired);
    case 'setTaskStatus':
      return setTaskStatus(writer, change.taskId, change.status);
    case 'releaseTask':
      return releaseTask(writer, change.taskId);
    case 'allocateService':
      return allocateService(writer, change.serviceId, change.endpoint);
    case 'setUpdateStatus':
      return setUpdateStatus(writer, change.serviceId, change.update);
    case 'rollBackService':
      return rollBackService(writer, change.serviceId, change.update);
    case 'allocateNetwork':
      return allocateNetwork(writer, change);
    case 'allocateNode':
      return allocateNode(writer, change.nodeId, change.meshIndex);
    case 'setNodeStatus':
      return setNodeStatus(writer, change);
    case 'setManagerStatus':
      return setManagerStatus(writer, change.nodeId, change.manager);
    case 'setNodeRole':
      return setNodeRole(writer, change);
    case 'setNodeSpec':
      return setNodeSpec(writer, change);
    case 'delete':
      return deleteRow(writer, change.table, change.id);
    default:
      return unreachable(change);
  }
}

function deleteRow(writer: Writer, table: 'node' | 'service' | 'network' | 'task', id: string): void {
  if (table === 'service') deleteService(writer, id);
  else if (table === 'task') deleteTask(writer, id);
  else writer.remove(table, id);
}
