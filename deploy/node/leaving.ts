import type { Consensus } from '#manager/consensus/consensus.ts';

const ATTEMPT = 'You are attempting to leave the swarm on a node that is participating as a manager. ';
const RESTORE =
  'The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. Use `--force` to suppress this message.';

/** Why a manager does not leave unless it is forced to, in Docker's words. */
export async function leavingManagerText(consensus: Pick<Consensus, 'status'>): Promise<string> {
  const { members, self } = await consensus.status();
  if (members.length <= 1) {
    return `${ATTEMPT}Removing the last manager erases all current state of the swarm. Use \`--force\` to ignore this message. `;
  }
  const others = members.filter(({ member }) => member.raftId !== self.raftId);
  const reachable = others.filter((other) => other.reachable).length;
  if (reachable <= members.length / 2) {
    return `${ATTEMPT}Removing this node leaves ${reachable} managers out of ${members.length}. Without a Raft quorum your swarm will be inaccessible. ${RESTORE}`;
  }
  return `${ATTEMPT}${RESTORE}`;
}
