import type { NodeId } from '#proto/types/ids.ts';
import type { NodeState } from '#proto/types/states.ts';
import type { NodeNews } from './news.ts';

export interface LivenessOpts {
  /** How often an agent is to be heard; managers speak several times as often, and are lost after this. */
  readonly periodMs: number;
  /** After missing this many it is down. */
  readonly missesMax: number;
}

/** How a node stands, and why. */
export interface Standing {
  readonly state: Exclude<NodeState, 'disconnected'>;
  readonly message?: string;
}

interface Known {
  /** The manager it has its session with. */
  holder?: NodeId;
  /** Since when nothing was heard of it by anybody; on the patient clock. */
  silentSinceMs?: number;
  graceMs: number;
  /** Set once it is down. */
  down?: string;
  /** Not heard of since this leader took over. */
  inherited?: true;
}

/** So many nodes don't fail in one moment: it is more likely we who lost them. */
const MASS_SHARE = 0.3;
const MASS_NODES_MIN = 3;
/** What the grace is lengthened by then, and for nodes a new leader has not heard of yet. */
const LONGER = 2;

const FAILED = 'heartbeat failure';
const INHERITED = 'Node moved to "unknown" state due to leadership change in cluster';

/**
 * Who is alive, as the leader sees it. Managers vouch for the nodes they hold sessions with: a node is alive while its
 * manager says so, and as long as that manager itself is heard. A node that lost its session, or its manager, has a
 * while to turn up elsewhere. All times are handed in, from a clock that does not run while this process stands still.
 */
export class Liveness {
  readonly #opts: () => LivenessOpts;
  readonly #nodes = new Map<NodeId, Known>();
  /** When each manager was last heard. */
  readonly #managers = new Map<NodeId, number>();

  /** The opts are read each time: they are a setting of the cluster. */
  constructor(opts: () => LivenessOpts) {
    this.#opts = opts;
  }

  /** A new leader's first thought: these nodes were up, and have a longer while to be heard of. */
  inherit(nodeIds: Iterable<NodeId>, nowMs: number): void {
    for (const nodeId of nodeIds) {
      this.#nodes.set(nodeId, { silentSinceMs: nowMs, graceMs: this.#graceMs() * LONGER, inherited: true });
    }
  }

  /** A manager has spoken: it lives, and with it every node it holds. False: it was not known, nor are its nodes. */
  managerHeard(managerId: NodeId, nowMs: number): boolean {
    const known = this.#managers.has(managerId);
    this.#managers.set(managerId, nowMs);
    return known;
  }

  /** What a manager says of a node. Of a node that another manager holds, only the holder's word counts. */
  nodeHeard(
    managerId: NodeId,
    news: Pick<NodeNews, 'nodeId' | 'alive' | 'gone' | 'silentMs'>,
    nowMs: number,
  ): void {
    if (news.alive) {
      this.#nodes.set(news.nodeId, { holder: managerId, graceMs: this.#graceMs() });
      return;
    }
    const known = this.#nodes.get(news.nodeId);
    if (known?.holder !== undefined && known.holder !== managerId) return;
    if (news.gone !== undefined) this.#nodes.set(news.nodeId, { graceMs: 0, down: news.gone });
    else if (known?.holder === managerId) {
      this.#nodes.set(news.nodeId, { silentSinceMs: nowMs - news.silentMs, graceMs: this.#graceMs() });
    }
  }

  forget(nodeId: NodeId): void {
    this.#nodes.delete(nodeId);
  }

  /** Lets time pass: managers that fell silent lose their nodes, and nodes that were silent for too long are down. */
  sweep(nowMs: number): void {
    this.#loseManagers(nowMs);
    const silent = [...this.#nodes.values()].filter(({ silentSinceMs }) => silentSinceMs !== undefined);
    const patience = this.#isMass(silent.length) ? LONGER : 1;
    for (const known of silent) {
      if (nowMs - (known.silentSinceMs as number) < known.graceMs * patience) continue;
      known.down = FAILED;
      delete known.silentSinceMs;
    }
  }

  /** How a node stands; undefined while nobody has said anything that would change it. */
  standing(nodeId: NodeId, nowMs: number): Standing | undefined {
    const known = this.#nodes.get(nodeId);
    if (known === undefined) return undefined;
    if (known.down !== undefined) return { state: 'down', message: known.down };
    if (known.holder !== undefined) return { state: 'ready' };
    const silentMs = nowMs - (known.silentSinceMs ?? nowMs);
    if (known.inherited && silentMs >= this.#opts().periodMs) return { state: 'unknown', message: INHERITED };
    return undefined;
  }

  /** The manager that vouches for the node. */
  holderOf(nodeId: NodeId): NodeId | undefined {
    return this.#nodes.get(nodeId)?.holder;
  }

  #loseManagers(nowMs: number): void {
    const { periodMs } = this.#opts();
    const lost = [...this.#managers].filter(([, heardMs]) => nowMs - heardMs >= periodMs);
    for (const [managerId] of lost) this.#managers.delete(managerId);
    if (lost.length === 0) return;
    for (const known of this.#nodes.values()) {
      if (known.holder === undefined || this.#managers.has(known.holder)) continue;
      delete known.holder;
      known.silentSinceMs = nowMs;
    }
  }

  #isMass(silent: number): boolean {
    const up = [...this.#nodes.values()].filter(({ down }) => down === undefined).length;
    return silent >= MASS_NODES_MIN && silent > up * MASS_SHARE;
  }

  #graceMs(): number {
    const { periodMs, missesMax } = this.#opts();
    return periodMs * missesMax;
  }
}
