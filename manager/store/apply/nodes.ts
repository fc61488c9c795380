import type { NodeId } from '#proto/types/ids.ts';
import type { ManagerStatus } from '#proto/types/objects.ts';
import type { ChangeOf } from '../changes.ts';
import { sameValue } from '../same.ts';
import type { Unstamped, Writer } from './writer.ts';

/** Nodes: what each writer may say of them, without touching what others said. */

/** Where it is known when the spec was changed, it stays known. */
export function putNode(writer: Writer, { node }: ChangeOf<'putNode'>): void {
  const current = writer.tables.get('node', node.id);
  const isNewSpec = current?.specVersion !== undefined && !sameValue(current.spec, node.spec);
  writer.put('node', isNewSpec ? { ...node, specVersion: writer.version } : node);
}

export function allocateNode(writer: Writer, id: NodeId, meshIndex: number): void {
  changeNode(writer, id, (node) => ({ ...node, meshIndex }));
}

export function setNodeStatus(
  writer: Writer,
  { nodeId, status, description }: ChangeOf<'setNodeStatus'>,
): void {
  changeNode(writer, nodeId, (node) => ({
    ...node,
    status,
    ...(description === undefined ? {} : { description }),
  }));
}

export function setManagerStatus(writer: Writer, id: NodeId, manager?: ManagerStatus): void {
  changeNode(writer, id, ({ manager: _, ...node }) => (manager === undefined ? node : { ...node, manager }));
}

export function setNodeRole(
  writer: Writer,
  { nodeId, role, certificateExpiresAtMs }: ChangeOf<'setNodeRole'>,
): void {
  changeNode(writer, nodeId, (node) => ({ ...node, role, certificateExpiresAtMs }));
}

export function setNodeSpec(writer: Writer, { nodeId, spec }: ChangeOf<'setNodeSpec'>): void {
  const node = writer.tables.get('node', nodeId);
  if (node !== undefined) writer.put('node', { ...node, spec, specVersion: writer.version });
}

/** Nothing is written where nothing would change. */
function changeNode(
  writer: Writer,
  id: NodeId,
  change: (node: Unstamped<'node'>) => Unstamped<'node'>,
): void {
  const node = writer.tables.get('node', id);
  if (node === undefined) return;
  const changed = change(node);
  if (!sameValue(node, changed)) writer.put('node', changed);
}
