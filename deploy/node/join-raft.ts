import type { StartOpts } from '#manager/consensus/opts.ts';
import { backoffMs } from '#proto/base/backoff.ts';
import type { Clock } from '#proto/base/clock.ts';
import { codeOf, FAILURES, ShoalError } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import type { RaftJoinReply } from '#proto/gen/shoal.ts';
import { NotLeaderError } from '#proto/rpc/status.ts';
import type { RpcDialer } from '#proto/rpc/types.ts';
import type { NodeId } from '#proto/types/ids.ts';

export interface RaftCaller {
  readonly nodeId: NodeId;
  readonly raftAddr: string;
  readonly controlAddr: string;
}

export interface RaftCallModules {
  readonly dialer: RpcDialer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** host:port of managers, asked anew for each try. */
  readonly managers: () => readonly string[];
  /** Told why a try failed that is made again. */
  readonly failed?: (error: unknown) => void;
}

const RETRY = { firstMs: 50, maxMs: 2_000 };
const CALL_MS_MAX = 10_000;

/** Asks the leader to let this node into the Raft group, until it is let in or refused for good. */
export async function askToJoin(
  caller: RaftCaller,
  modules: RaftCallModules,
  signal: AbortSignal,
): Promise<StartOpts> {
  const reply: RaftJoinReply = await askLeader(modules, signal, (addr) =>
    modules.dialer.client('Membership', addr, 'manager').join(caller, { signal, timeoutMs: CALL_MS_MAX }),
  );
  const members = reply.members.map(({ nodeId, ...member }) => ({
    ...member,
    nodeId: nodeId as NodeId,
    learner: member.raftId === reply.raftId,
  }));
  return { kind: 'join', raftId: reply.raftId, members };
}

/** Asks the leader to let this node out of the Raft group. */
export async function askToLeave(
  nodeId: NodeId,
  modules: RaftCallModules,
  signal: AbortSignal,
): Promise<void> {
  await askLeader(modules, signal, (addr) =>
    modules.dialer
      .client('Membership', addr, 'manager')
      .leave({ nodeId }, { signal, timeoutMs: CALL_MS_MAX }),
  );
}

/** Turns to managers one after the other, and to the leader when one of them names it. */
async function askLeader<T>(
  { managers, clock, random, log, failed }: RaftCallModules,
  signal: AbortSignal,
  ask: (addr: string) => Promise<T>,
): Promise<T> {
  let hint: string | undefined;
  for (let attempt = 0; ; attempt++) {
    signal.throwIfAborted();
    const known = managers();
    const addr: string | undefined = hint ?? known[attempt % Math.max(1, known.length)];
    if (addr === undefined) throw new ShoalError('UNAVAILABLE', 'no manager of the swarm is known');
    try {
      return await ask(addr);
    } catch (error) {
      if (!FAILURES[codeOf(error)].retry) throw error;
      hint = error instanceof NotLeaderError ? error.leaderAddr : undefined;
      log.debug('a manager could not let this one in or out, asking again', { addr, err: error });
      failed?.(error);
      if (hint === undefined) await clock.sleep(backoffMs(RETRY, attempt, random), signal);
    }
  }
}
