import type { NodeId } from '#proto/types/ids.ts';
import type { Node } from '#proto/types/objects.ts';
import type { MemberStatus } from '../consensus/consensus.ts';
import { unstored } from '../control/unstored.ts';
import type { Change, Expectation } from '../store/changes.ts';
import type { StoreView } from '../store/view.ts';

/*
 * A manager that is lost for good leaves the others one failure closer to the loss of their quorum. Nodes that bear this
 * label take the place of one: its value says after how many seconds, `true` means the default.
 */

export const SPARE_LABEL = 'shoal.spare-manager';
const AFTER_MS = 300_000;
/** Shorter than a restart of a machine takes is no loss. */
const AFTER_MS_MIN = 30_000;

/** A spare takes the place of a manager that is lost. */
export interface Replacement {
  readonly lost: Node;
  readonly spare: Node;
  readonly expects: readonly Expectation[];
  readonly changes: readonly Change[];
}

/**
 * The replacement that is due now. One at a time: while a manager is on its way in or out none is. Both roles change at
 * once, so that whoever leads next finds the decision made or not; and only when those that answer are enough to decide
 * without the lost one. `unreachedForMs`: how long a manager is known not to have answered, whatever its node does; one
 * whose state is damaged never does.
 */
export function replacement(
  view: Pick<StoreView, 'nodes'>,
  members: readonly MemberStatus[],
  nowMs: number,
  unreachedForMs: (member: NodeId) => number = () => 0,
): Replacement | undefined {
  const nodes = [...view.nodes.all()];
  if (isMoving(nodes, members)) return undefined;
  const spares = nodes.filter((node) => spareAfterMs(node) !== undefined && mayManage(node));
  for (const lost of nodes.filter(({ spec }) => spec.role === 'manager')) {
    if (!mayGo(lost, members)) continue;
    const spare = spares.find((candidate) => isDue(lost, candidate, nowMs, unreachedForMs));
    if (spare !== undefined) return replacing(lost, spare);
  }
  return undefined;
}

/** How long a manager must be lost before this node takes its place; undefined for a node that is no spare. */
export function spareAfterMs({ spec }: Pick<Node, 'spec'>): number | undefined {
  const text = spec.labels?.[SPARE_LABEL];
  if (text === undefined || text === 'false') return undefined;
  const seconds = Number(text);
  if (!Number.isFinite(seconds) || seconds <= 0) return AFTER_MS;
  return Math.max(AFTER_MS_MIN, seconds * 1_000);
}

/** A node that is up is to be a manager and has no vote yet, or is to be none and has one. */
function isMoving(nodes: readonly Node[], members: readonly MemberStatus[]): boolean {
  const votes = new Map(members.map(({ member }) => [member.nodeId, !member.learner]));
  return nodes.some(({ id, spec, status }) => {
    if (spec.role === 'manager') return status.state === 'ready' && votes.get(id) !== true;
    return votes.has(id);
  });
}

function mayManage({ spec, status, manager, description }: Node): boolean {
  return (
    spec.role === 'worker' && status.state === 'ready' && manager === undefined && description !== undefined
  );
}

/** It does not answer, and those that do are a majority of the rest. One that never came to have a vote is no loss. */
function mayGo({ id }: Node, members: readonly MemberStatus[]): boolean {
  const voters = members.filter(({ member }) => !member.learner);
  const rest = voters.filter(({ member }) => member.nodeId !== id);
  const own = members.find(({ member }) => member.nodeId === id);
  return own?.reachable !== true && rest.filter(({ reachable }) => reachable).length > rest.length / 2;
}

function isDue(lost: Node, spare: Node, nowMs: number, unreachedForMs: (member: NodeId) => number): boolean {
  const { state, sinceMs = nowMs } = lost.status;
  const downForMs = state === 'down' ? nowMs - sinceMs : 0;
  return Math.max(downForMs, unreachedForMs(lost.id)) >= (spareAfterMs(spare) ?? Infinity);
}

function replacing(lost: Node, spare: Node): Replacement {
  return {
    lost,
    spare,
    expects: [lost, spare].map(({ id, version }) => ({ table: 'node', id, version })),
    changes: [withRole(lost, 'worker'), withRole(spare, 'manager')],
  };
}

function withRole(node: Node, role: 'manager' | 'worker'): Change {
  return { kind: 'putNode', node: { ...unstored(node), spec: { ...node.spec, role } } };
}
