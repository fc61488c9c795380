import type { NodeId } from '#proto/types/ids.ts';
import type { ManagerNews } from './news.ts';

interface Manager {
  settled: number;
  /** Nodes it holds, and what they are ready for while that is not `settled`. */
  readonly nodes: Map<NodeId, number | undefined>;
}

/**
 * The version up to which each node's data plane is known to be in place: what its manager says of it, or of all it holds.
 * Read as a map; a manager's common version is one number, however many nodes it stands for.
 */
export class ReadyNodes implements ReadonlyMap<NodeId, number> {
  readonly #managers = new Map<NodeId, Manager>();
  readonly #holders = new Map<NodeId, Manager>();

  /** Takes in what a manager says; `holds` is whether the node is that manager's to speak for. */
  heard(news: ManagerNews, holds: (nodeId: NodeId) => boolean): void {
    const manager = this.#managers.get(news.managerId) ?? { settled: 0, nodes: new Map() };
    this.#managers.set(news.managerId, manager);
    manager.settled = news.settledVersion;
    for (const { nodeId, alive, networkReady } of news.nodes) {
      if (!holds(nodeId)) continue;
      this.forget(nodeId);
      if (!alive) continue;
      manager.nodes.set(nodeId, networkReady);
      this.#holders.set(nodeId, manager);
    }
  }

  forget(nodeId: NodeId): void {
    this.#holders.get(nodeId)?.nodes.delete(nodeId);
    this.#holders.delete(nodeId);
  }

  clear(): void {
    this.#managers.clear();
    this.#holders.clear();
  }

  get size(): number {
    return this.#holders.size;
  }

  get(nodeId: NodeId): number | undefined {
    const manager = this.#holders.get(nodeId);
    return manager && (manager.nodes.get(nodeId) ?? manager.settled);
  }

  has(nodeId: NodeId): boolean {
    return this.#holders.has(nodeId);
  }

  keys(): MapIterator<NodeId> {
    return this.#holders.keys();
  }

  values(): MapIterator<number> {
    return this.#all().values();
  }

  entries(): MapIterator<[NodeId, number]> {
    return this.#all().entries();
  }

  [Symbol.iterator](): MapIterator<[NodeId, number]> {
    return this.entries();
  }

  forEach(visit: (version: number, nodeId: NodeId, map: ReadonlyMap<NodeId, number>) => void): void {
    for (const [nodeId, version] of this.#all()) visit(version, nodeId, this);
  }

  #all(): Map<NodeId, number> {
    return new Map([...this.#holders.keys()].map((nodeId) => [nodeId, this.get(nodeId) as number]));
  }
}
