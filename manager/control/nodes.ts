import { codeOf, ShoalError } from '#proto/base/errors.ts';
import type { Node } from '#proto/types/objects.ts';
import type { NodeSpec } from '#proto/types/specs.ts';
import type { Consensus } from '../consensus/consensus.ts';
import type { Store, StoreView } from '../store/view.ts';
import { findNode } from './lookup.ts';
import type { Turns } from './turns.ts';

export interface NodesModules {
  readonly store: Pick<Store, 'view' | 'update'>;
  readonly consensus: Pick<Consensus, 'members' | 'status'>;
  readonly turns: Turns;
}

/** How often a change is made anew that something else said of the node came before. */
const TRIES_MAX = 3;

/** Nodes as users change and remove them. Roles are only asked for here: whoever keeps the members sees to them. */
export class Nodes {
  readonly #modules: NodesModules;

  constructor(modules: NodesModules) {
    this.#modules = modules;
  }

  /**
   * OUT_OF_SEQUENCE when the spec was changed since `version`, whatever else was said of the node; FAILED_PRECONDITION
   * for a demotion that would lose the quorum.
   */
  update(ref: string, version: number, spec: NodeSpec): Promise<void> {
    return this.#modules.turns.take(async () => {
      for (let tries = 1; ; tries++) {
        try {
          return await this.#setSpec(ref, version, spec);
        } catch (error) {
          if (codeOf(error) !== 'OUT_OF_SEQUENCE' || tries === TRIES_MAX) throw error;
        }
      }
    });
  }

  async #setSpec(ref: string, version: number, spec: NodeSpec): Promise<void> {
    const { store } = this.#modules;
    const node = findNode(store.view(), ref);
    const { id: nodeId, specVersion = node.version } = node;
    if (version < specVersion || node.version < version)
      throw new ShoalError('OUT_OF_SEQUENCE', 'update out of sequence');
    if (node.spec.role === 'manager' && spec.role === 'worker') await this.#checkDemotion(node);
    await store.update({
      expects: [{ table: 'node', id: nodeId, version: node.version }],
      changes: [{ kind: 'setNodeSpec', nodeId, spec }],
    });
  }

  /** FAILED_PRECONDITION for managers, and without `force` for a node that is not down. Its certificate is refused then. */
  remove(ref: string, force: boolean): Promise<void> {
    const { store, turns, consensus } = this.#modules;
    return turns.take(async () => {
      const { id, version, spec, status } = findNode(store.view(), ref);
      const isMember = consensus.members().some(({ nodeId }) => nodeId === id);
      if (spec.role === 'manager' && isMember)
        throw refused(
          `node ${id} is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal`,
        );
      if (!force && status.state === 'ready') throw refused(`node ${id} is not down and can't be removed`);
      await store.update({
        expects: [{ table: 'node', id, version }],
        changes: [{ kind: 'delete', table: 'node', id }],
      });
    });
  }

  /** Demotions that were agreed to and not carried out yet count as done. */
  async #checkDemotion(node: Node): Promise<void> {
    const { store, consensus } = this.#modules;
    const managers = wantedManagers(store.view());
    if (managers.every(({ id }) => id === node.id))
      throw refused('attempting to demote the last manager of the swarm');
    const { members } = await consensus.status();
    if (!members.some(({ member }) => member.nodeId === node.id))
      throw new ShoalError('NOT_FOUND', "can't find manager in raft memberlist");
    const staying = new Set(managers.map(({ id }) => id).filter((id) => id !== node.id));
    const voters = members.filter(({ member }) => !member.learner && staying.has(member.nodeId));
    const reachable = voters.filter(({ reachable }) => reachable);
    if (reachable.length <= voters.length / 2)
      throw refused("can't remove member from the raft: this would result in a loss of quorum");
  }
}

function wantedManagers(view: StoreView): Node[] {
  return [...view.nodes.all()].filter(({ spec }) => spec.role === 'manager');
}

function refused(message: string): ShoalError {
  return new ShoalError('FAILED_PRECONDITION', message);
}
