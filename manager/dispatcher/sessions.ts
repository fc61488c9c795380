import type { NetworkId, NodeId } from '#proto/types/ids.ts';
import type { AgentSession } from './agent-session.ts';
import type { Scope } from './touched.ts';

/** The sessions of one manager, found by node and by network. */
export class Sessions {
  readonly #byNode = new Map<NodeId, AgentSession>();
  readonly #byNetwork = new Map<NetworkId, Set<AgentSession>>();

  get size(): number {
    return this.#byNode.size;
  }

  all(): Iterable<AgentSession> {
    return this.#byNode.values();
  }

  get(nodeId: NodeId): AgentSession | undefined {
    return this.#byNode.get(nodeId);
  }

  /** Those a change in `scope` matters to. */
  in(scope: Scope): Iterable<AgentSession> {
    if (scope.kind === 'all') return this.all();
    if (scope.kind === 'network') return this.#byNetwork.get(scope.id) ?? [];
    const session = this.get(scope.id);
    return session === undefined ? [] : [session];
  }

  /** Adds a session; the node's former one, if there is one, is taken out and given back. */
  add(session: AgentSession): AgentSession | undefined {
    const former = this.#byNode.get(session.opts.nodeId);
    if (former !== undefined) this.remove(former);
    this.#byNode.set(session.opts.nodeId, session);
    return former;
  }

  /** False when the session is no longer the node's. */
  remove(session: AgentSession): boolean {
    if (this.#byNode.get(session.opts.nodeId) !== session) return false;
    this.#byNode.delete(session.opts.nodeId);
    this.move(session, session.networks, new Set());
    return true;
  }

  /** The session's node is on other networks than before. */
  move(session: AgentSession, was: ReadonlySet<NetworkId>, is: ReadonlySet<NetworkId>): void {
    for (const id of was) {
      const sessions = this.#byNetwork.get(id);
      sessions?.delete(session);
      if (sessions?.size === 0) this.#byNetwork.delete(id);
    }
    // One that was replaced meanwhile is told nothing more.
    if (this.#byNode.get(session.opts.nodeId) !== session) return;
    for (const id of is) {
      const sessions = this.#byNetwork.get(id) ?? new Set();
      this.#byNetwork.set(id, sessions.add(session));
    }
  }
}
