import { setTimeout as sleep } from 'node:timers/promises';
import type { Group } from './group.ts';
import { PutClient } from './put-client.ts';

/** How often each survivor is asked to take a write, from the moment the leader is gone. */
const ASK_EVERY_MS = 5;
const FAILOVER_MS_MAX = 15_000;
const MEMBERS = [0, 1, 2];

/** How a leader goes: its process is killed, or goes on existing and does nothing. */
export type Fate = 'killed' | 'hung';

/**
 * Takes the leader away and says after how many milliseconds a write that was sent after that was accepted. On return the
 * group is whole again, with a leader that takes writes.
 */
export async function failover(group: Group, fate: Fate): Promise<number> {
  const leader = await group.leader();
  const survivors = MEMBERS.filter((member) => member !== leader).map((member) => group.clientPort(member));
  const clients = survivors.map((port) => new PutClient(port));
  try {
    const gone = fate === 'killed' ? group.kill(leader) : group.signal(leader, 'SIGSTOP');
    const beganMs = performance.now();
    await firstAccepted(clients);
    const tookMs = performance.now() - beganMs;
    await gone;
    return tookMs;
  } finally {
    for (const client of clients) client[Symbol.dispose]();
    if (fate === 'killed') await group.revive(leader);
    else group.signal(leader, 'SIGCONT');
    await settled(group, leader);
  }
}

/** Resolves when one of many puts, sent to each in turn without waiting for answers, succeeded. */
async function firstAccepted(clients: readonly PutClient[]): Promise<void> {
  const accepted = Promise.withResolvers<void>();
  let count = 0;
  const ask = (): void => {
    count += 1;
    for (const client of clients)
      void client.put(Buffer.from('failover'), Buffer.from(String(count))).then((done) => {
        if (done) accepted.resolve();
      });
  };
  const asking = setInterval(ask, ASK_EVERY_MS);
  const late = setTimeout(() => accepted.reject(new Error('nobody took over')), FAILOVER_MS_MAX);
  ask();
  try {
    await accepted.promise;
  } finally {
    clearInterval(asking);
    clearTimeout(late);
  }
}

/** Waits until the member that came back follows, so that the next leader that goes leaves two that are whole. */
async function settled(group: Group, returned: number): Promise<void> {
  const giveUp = AbortSignal.timeout(FAILOVER_MS_MAX);
  while (!(await group.isCaughtUp(returned))) await sleep(ASK_EVERY_MS, undefined, { signal: giveUp });
}
