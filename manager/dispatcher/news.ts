import { nodeDescription } from '#proto/convert/node.ts';
import { taskStatus } from '#proto/convert/task.ts';
import type { NodeReports, NodeReport as WireNodeReport } from '#proto/gen/shoal.ts';
import type { Input } from '#proto/rpc/codec.ts';
import type { NodeId, TaskId } from '#proto/types/ids.ts';
import type { NodeDescription, TaskStatus } from '#proto/types/objects.ts';

/** All that a manager knows of one node, when some of it has changed. */
export interface NodeNews {
  readonly nodeId: NodeId;
  /** It has a session with this manager. */
  readonly alive: boolean;
  /** It took its leave, with this reason. */
  readonly gone?: string;
  /** How long nothing was heard of it, when it is not alive. */
  readonly silentMs: number;
  readonly description?: NodeDescription;
  /** The address it is known by, without port. */
  readonly addr: string;
  /** What its data plane is ready for; absent: for the manager's settledVersion. */
  readonly networkReady?: number;
  readonly reports: readonly (readonly [TaskId, TaskStatus])[];
}

/** What a manager that holds sessions tells the leader. Nodes that it says nothing of are as it said before. */
export interface ManagerNews {
  readonly managerId: NodeId;
  readonly settledVersion: number;
  readonly nodes: readonly NodeNews[];
}

export function newsToWire(news: ManagerNews): Input<NodeReports> {
  return {
    managerId: news.managerId,
    settledVersion: news.settledVersion,
    nodes: news.nodes.map((node) => ({
      nodeId: node.nodeId,
      alive: node.alive,
      gone: node.gone,
      silentMs: Math.round(node.silentMs),
      description: node.description && nodeDescription.toWire(node.description),
      addr: node.addr,
      networkReadyVersion: node.networkReady,
      reports: node.reports.map(([taskId, status]) => ({ taskId, status: taskStatus.toWire(status) })),
    })),
  };
}

export function newsFromWire(wire: NodeReports): ManagerNews {
  return {
    managerId: wire.managerId as NodeId,
    settledVersion: wire.settledVersion,
    nodes: wire.nodes.map(nodeFromWire),
  };
}

function nodeFromWire(wire: WireNodeReport): NodeNews {
  const { gone, description, networkReadyVersion: networkReady } = wire;
  return {
    nodeId: wire.nodeId as NodeId,
    alive: wire.alive,
    silentMs: wire.silentMs,
    addr: wire.addr,
    reports: wire.reports.flatMap(({ taskId, status }) =>
      status ? [[taskId as TaskId, taskStatus.fromWire(status)] as const] : [],
    ),
    ...(typeof gone === 'string' ? { gone } : {}),
    ...(description ? { description: nodeDescription.fromWire(description) } : {}),
    ...(typeof networkReady === 'number' ? { networkReady } : {}),
  };
}
