import { ShoalError } from '#proto/base/errors.ts';
import type { NetworkId, NodeId, ServiceId, TaskId } from '#proto/types/ids.ts';
import type { Network, Node, Service, Task } from '#proto/types/objects.ts';
import type { StoreView } from '../store/view.ts';

/*
 * Objects by what people call them: the id, else the name, else the beginning of one id. What was asked to go is not
 * there any more. NOT_FOUND and INVALID_ARGUMENT (ambiguous) in Docker's words.
 */

export function findService({ services }: StoreView, ref: string): Service {
  const byId = services.get(ref as ServiceId);
  if (byId !== undefined && !byId.pendingDelete) return byId;
  return services.byName(ref) ?? onlyOne('service', ref, byPrefix(present(services.all()), ref));
}

export function findNetwork({ networks }: StoreView, ref: string): Network {
  const byId = networks.get(ref as NetworkId);
  if (byId !== undefined && !byId.pendingDelete) return byId;
  return networks.byName(ref) ?? onlyOne('network', ref, byPrefix(present(networks.all()), ref));
}

export function findNode({ nodes }: StoreView, ref: string): Node {
  const byId = nodes.get(ref as NodeId);
  if (byId !== undefined) return byId;
  const named = [...nodes.all()].filter(
    (node) => node.spec.name === ref || node.description?.hostname === ref,
  );
  return onlyOne('node', ref, named.length > 0 ? named : byPrefix(nodes.all(), ref));
}

export function findTask({ tasks }: StoreView, ref: string): Task {
  return tasks.get(ref as TaskId) ?? onlyOne('task', ref, ref === '' ? [] : tasks.startingWith(ref));
}

function* present<Row extends { readonly pendingDelete?: boolean }>(rows: Iterable<Row>): Generator<Row> {
  for (const row of rows) if (!row.pendingDelete) yield row;
}

function byPrefix<Row extends { readonly id: string }>(rows: Iterable<Row>, prefix: string): Row[] {
  const found: Row[] = [];
  if (prefix !== '') for (const row of rows) if (row.id.startsWith(prefix)) found.push(row);
  return found;
}

function onlyOne<Row>(kind: string, ref: string, found: readonly Row[]): Row {
  const [first] = found;
  if (first === undefined) throw new ShoalError('NOT_FOUND', `${kind} ${ref} not found`);
  if (found.length === 1) return first;
  throw new ShoalError('INVALID_ARGUMENT', `${kind} ${ref} is ambiguous (${found.length} matches found)`);
}
