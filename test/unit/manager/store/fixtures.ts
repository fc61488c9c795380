import { applyTransaction, type Outcome } from '#manager/store/apply/transaction.ts';
import type { Change, ChangeOf, Expectation } from '#manager/store/changes.ts';
import { Tables } from '#manager/store/tables.ts';
import { TablesView } from '#manager/store/tables-view.ts';
import type { StoreEvent } from '#manager/store/view.ts';
import { assert } from '#proto/base/assert.ts';
import { deriveTaskId, type NetworkId, type NodeId, type ServiceId, type TaskId } from '#proto/types/ids.ts';
import type { ServiceSpec } from '#proto/types/specs.ts';
import { type DesiredState, TaskState } from '#proto/types/states.ts';

export const S1 = 's1' as ServiceId;
export const S2 = 's2' as ServiceId;
export const N1 = 'n1' as NodeId;
export const N2 = 'n2' as NodeId;
export const NET1 = 'net1' as NetworkId;

/** The task number `serial` (from 0) of a service, where no cluster object is. */
export function taskId(serviceId: ServiceId, serial: number): TaskId {
  return deriveTaskId(serviceId, 0, serial);
}

export function specOf(name: string, image = 'nginx'): ServiceSpec {
  return { name, task: { container: { image } }, mode: { kind: 'replicated', replicas: 1 } };
}

export function putService(id: ServiceId, spec: ServiceSpec): ChangeOf<'putService'> {
  return { kind: 'putService', service: { id, spec } };
}

export function putNode(id: NodeId): ChangeOf<'putNode'> {
  const spec = { role: 'worker', availability: 'active' } as const;
  return { kind: 'putNode', node: { id, spec, role: 'worker', status: { state: 'ready' } } };
}

export function putNetwork(id: NetworkId, name: string): ChangeOf<'putNetwork'> {
  return { kind: 'putNetwork', network: { id, spec: { name } } };
}

export function createTask(
  serviceId: ServiceId,
  slot = 1,
  desired: DesiredState = TaskState.Running,
): ChangeOf<'createTask'> {
  return { kind: 'createTask', serviceId, slot, desired };
}

export function statusOf(state: TaskState, message = ''): ChangeOf<'setTaskStatus'>['status'] {
  return { state, atMs: 5, message };
}

/** Tables that transactions are applied to, each at the next version. */
export class Sandbox {
  readonly tables: Tables;
  version = 0;

  constructor(tables = new Tables()) {
    this.tables = tables;
  }

  /** Applies changes that must be accepted; gives what they did. */
  apply(...changes: readonly Change[]): readonly StoreEvent[] {
    const outcome = this.try(changes);
    assert('events' in outcome, 'the transaction is accepted');
    return outcome.events;
  }

  try(changes: readonly Change[], expects: readonly Expectation[] = []): Outcome {
    this.version++;
    return applyTransaction(this.tables, { atMs: this.version * 1000, expects, changes }, this.version);
  }

  /** The code of the refusal, if it is one. */
  refusal(changes: readonly Change[], expects: readonly Expectation[] = []): string | undefined {
    const outcome = this.try(changes, expects);
    return 'refused' in outcome ? outcome.refused.code : undefined;
  }

  view(): TablesView {
    return new TablesView(this.tables.copy(), this.version);
  }
}
