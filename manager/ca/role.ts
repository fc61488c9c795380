import type { Node } from '#proto/types/objects.ts';
import type { NodeRole } from '#proto/types/states.ts';

/**
 * The role a node's certificate should have: what its spec says, except that a manager that is still a member of the
 * Raft group keeps speaking as one until it has been removed from it.
 */
export function certificateRole(node: Pick<Node, 'spec' | 'manager'>): NodeRole {
  return node.manager === undefined ? node.spec.role : 'manager';
}
