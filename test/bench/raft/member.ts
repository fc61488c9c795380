import { takePrecedence } from '#deploy/node/precedence.ts';
import type { CommittedEntry, Consensus, StateMachine } from '#manager/consensus/consensus.ts';
import { startConsensus } from '#manager/consensus/host.ts';
import { StoreMachine } from '#manager/store/machine.ts';
import { PROPOSER_OPTS } from '#manager/store/proposer.ts';
import { ReplicatedStore } from '#manager/store/store.ts';
import { systemClock } from '#proto/base/clock.ts';
import { nullLog } from '#proto/base/log.ts';
import { nullMetrics } from '#proto/base/metrics.ts';
import { systemRandom } from '#proto/base/random.ts';
import { HeldIdentity } from '#proto/rpc/identity.ts';
import type { ServiceId } from '#proto/types/ids.ts';
import { TaskState } from '#proto/types/states.ts';
import { service } from '#test/support/cluster.ts';
import { serveKv } from './kv-server.ts';
import { encodePut, keyOf } from './kv-wire.ts';
import { closedLoop } from './load.ts';
import type { FromMember, Load, ToMember } from './member-protocol.ts';

/* One member of the group under test, as a process of its own: consensus as a manager runs it, and little on top. */

const SERVICE = 'bench';
const KEYS = 1_000;

/** Keys and what was last put under each, as little as a state machine can be. */
class Pairs implements StateMachine {
  readonly #values = new Map<string, Uint8Array>();

  apply(entries: readonly CommittedEntry[]): void {
    for (const { data } of entries) {
      if (data.length === 0) continue;
      const put = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      this.#values.set(keyOf(put), put);
    }
  }

  *snapshot(): Generator<Uint8Array> {
    yield* [...this.#values.values()];
  }

  async restore(chunks: AsyncIterable<Uint8Array>, index: number): Promise<void> {
    this.#values.clear();
    for await (const data of chunks) this.apply([{ index, term: 0, data }]);
  }
}

let consensus: Consensus;
let store: ReplicatedStore | undefined;

async function carryOut(message: ToMember): Promise<void> {
  switch (message.do) {
    case 'start':
      await start(message);
      return say({ say: 'started' });
    case 'add': {
      const { raftId } = await consensus.addMember(message.member);
      return say({ say: 'added', raftId, members: consensus.members() });
    }
    case 'status': {
      const { term, commitIndex, appliedIndex } = await consensus.status();
      return say({ say: 'status', term, commitIndex, appliedIndex });
    }
    case 'load':
      return say({ say: 'loaded', load: await load(message.writers, message.bytes, message.ms) });
  }
}

async function start({ opts, identity, machine, clientPort }: ToMember & { do: 'start' }): Promise<void> {
  takePrecedence(nullLog);
  const storeMachine = machine === 'store' ? new StoreMachine() : undefined;
  consensus = await startConsensus(opts, {
    identity: new HeldIdentity(identity),
    stateMachine: storeMachine ?? new Pairs(),
    log: nullLog,
    metrics: nullMetrics,
    onFailure: (error) => say({ say: 'failed', message: error.message }),
  });
  const base = { clock: systemClock, random: systemRandom, metrics: nullMetrics };
  if (storeMachine !== undefined)
    store = new ReplicatedStore(PROPOSER_OPTS, { ...base, machine: storeMachine, consensus });
  await serveKv(clientPort, (put) => consensus.propose(put));
  consensus.onLeadership(tellLeadership);
  consensus.onMembers(tellLeadership);
  tellLeadership();
}

function tellLeadership(): void {
  const voters = consensus.members().filter(({ learner }) => !learner).length;
  say({ say: 'leads', leading: consensus.leadership().leading, voters });
}

async function load(writers: number, bytes: number, ms: number): Promise<Load> {
  if (store !== undefined) return loadStore(store, writers, ms);
  const puts = Array.from({ length: KEYS }, (_, key) =>
    encodePut(Buffer.from(`k${key}`), Buffer.alloc(bytes - 16)),
  );
  let count = 0;
  return closedLoop(writers, ms, () => {
    count += 1;
    return consensus.propose(puts[count % KEYS] as Buffer);
  });
}

/** Each write is a transaction that makes one task. */
async function loadStore(to: ReplicatedStore, writers: number, ms: number): Promise<Load> {
  const serviceId = SERVICE as ServiceId;
  if (to.view().services.get(serviceId) === undefined) await to.update({ changes: [service(SERVICE)] });
  let slot = to.view().tasks.byService(serviceId).length;
  return closedLoop(writers, ms, () => {
    slot += 1;
    return to.update({ changes: [{ kind: 'createTask', serviceId, slot, desired: TaskState.Running }] });
  });
}

function say(message: FromMember): void {
  process.send?.(message);
}

process.on('message', (message: ToMember) => {
  carryOut(message).catch((error: unknown) => say({ say: 'failed', message: String(error) }));
});
process.on('disconnect', () => process.exit(0));
