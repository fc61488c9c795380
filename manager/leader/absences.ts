import type { NodeId } from '#proto/types/ids.ts';
import type { MemberStatus } from '../consensus/consensus.ts';

/** How long managers have not answered, as one that leads has seen it since it leads. */
export class Absences {
  #sinceMs: ReadonlyMap<NodeId, number> = new Map();

  /** To be told again and again; who is no member any more is forgotten. */
  saw(members: readonly MemberStatus[], nowMs: number): void {
    const absent = members.filter(({ reachable }) => !reachable).map(({ member }) => member.nodeId);
    this.#sinceMs = new Map(absent.map((nodeId) => [nodeId, this.#sinceMs.get(nodeId) ?? nowMs]));
  }

  /** 0 for one that answered when it was last looked. */
  forMs(nodeId: NodeId, nowMs: number): number {
    return nowMs - (this.#sinceMs.get(nodeId) ?? nowMs);
  }
}
