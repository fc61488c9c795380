import { ShoalError } from '#proto/base/errors.ts';
import type { RaftJoinReply, RaftJoinRequest, RaftLeaveRequest } from '#proto/gen/shoal.ts';
import type { Input } from '#proto/rpc/codec.ts';
import { NotLeaderError } from '#proto/rpc/status.ts';
import type { CallInfo, Implementation } from '#proto/rpc/types.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { Consensus } from './consensus.ts';

export interface MembershipServiceModules {
  readonly consensus: Pick<Consensus, 'leadership' | 'members' | 'addMember' | 'removeMember'>;
  /** Whether this node is meant to be a manager. */
  readonly mayManage: (nodeId: NodeId) => boolean;
}

/** How managers enter and leave the Raft group; only the leader lets them, others name it. */
export class MembershipService implements Implementation<'Membership'> {
  readonly #modules: MembershipServiceModules;

  constructor(modules: MembershipServiceModules) {
    this.#modules = modules;
  }

  async join(request: RaftJoinRequest, call: CallInfo): Promise<Input<RaftJoinReply>> {
    const nodeId = this.#caller(request.nodeId, call);
    this.#requireLead();
    if (!this.#modules.mayManage(nodeId)) {
      throw new ShoalError('FORBIDDEN', `node ${nodeId} is not to be a manager of this swarm`);
    }
    const { raftAddr, controlAddr } = request;
    const member = await this.#modules.consensus.addMember({ nodeId, raftAddr, controlAddr });
    return { raftId: member.raftId, members: [...this.#modules.consensus.members()] };
  }

  async leave(request: RaftLeaveRequest, call: CallInfo): Promise<object> {
    const nodeId = this.#caller(request.nodeId, call);
    this.#requireLead();
    const { consensus } = this.#modules;
    const member = consensus.members().find((candidate) => candidate.nodeId === nodeId);
    if (member !== undefined) await consensus.removeMember(member.raftId);
    return {};
  }

  /** A manager speaks for itself alone. */
  #caller(claimed: string, call: CallInfo): NodeId {
    if (call.peer?.nodeId === claimed) return call.peer.nodeId;
    throw new ShoalError('FORBIDDEN', `a manager joins and leaves for itself, not for node ${claimed}`);
  }

  #requireLead(): void {
    const { leading, leader } = this.#modules.consensus.leadership();
    if (!leading) throw new NotLeaderError(leader?.controlAddr);
  }
}
