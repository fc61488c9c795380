import { setImmediate as turn } from 'node:timers/promises';
import { keepMemorySmall } from '#deploy/node/memory.ts';
import type { Consensus, StateMachine } from '#manager/consensus/consensus.ts';
import { type ConsensusOpts, startConsensus } from '#manager/consensus/host.ts';
import type { Controller, Plan, Situation } from '#manager/leader/controller.ts';
import { LEADER_LOOP_OPTS, LeaderLoop, type NetworkReadiness } from '#manager/leader/loop.ts';
import { StoreMachine } from '#manager/store/machine.ts';
import { PROPOSER_OPTS } from '#manager/store/proposer.ts';
import { ReplicatedStore } from '#manager/store/store.ts';
import type { Draft } from '#manager/store/view.ts';
import { systemClock } from '#proto/base/clock.ts';
import { nullLog } from '#proto/base/log.ts';
import { nullMetrics } from '#proto/base/metrics.ts';
import { seededRandom, systemRandom } from '#proto/base/random.ts';
import { HeldIdentity } from '#proto/rpc/identity.ts';
import type { TlsIdentity } from '#proto/rpc/types.ts';
import type { NodeId, ServiceId } from '#proto/types/ids.ts';
import { CHANGES_IN_WRITE, Million } from './million.ts';
import type { Answer, Answered, Asked, Question } from './protocol.ts';
import { type Stall, watchLoop } from './stall.ts';

/* A manager's store with its consensus, as a process of its own, and the load that it is put under. */

const WRITES_IN_FLIGHT = 8;
const LOAD_EVERY_MS = 10;
const MIB = 2 ** 20;
const MS_IN_SECOND = 1_000;

const NOTHING: Answer = { tasks: 0, perSecond: 0, stall: { stallMs: 0, workMs: 0 }, rssMib: 0 };

const million = new Million();
const machine = new StoreMachine();
/** Resolves with the worst stall of the loop while the next snapshot is taken. */
let nextSnapshot = Promise.withResolvers<Stall>();
let store: ReplicatedStore;
let serial = 0;

/** The last of the controllers: what it was asked to look at, all others have looked at. */
class LastController implements Controller {
  readonly name = 'last';
  readonly wakesOn = [];
  readonly #services = new Set<ServiceId>();
  readonly #nodes = new Set<NodeId>();
  readonly #all = Promise.withResolvers<void>();

  get sawEverything(): Promise<void> {
    return this.#all.promise;
  }

  plan(view: Draft, { services, nodes }: Situation): Plan {
    for (const id of services ?? []) this.#services.add(id);
    for (const id of nodes ?? []) this.#nodes.add(id);
    const isAll = this.#services.size >= view.services.size && this.#nodes.size >= view.nodes.size;
    if (services === undefined || isAll) this.#all.resolve();
    return { changes: [] };
  }
}

/** Nothing in this cluster balances. */
const NO_NETWORK: NetworkReadiness = { versions: () => new Map(), subscribe: () => () => undefined };

/** The machine as consensus drives it, watched while a snapshot is taken. */
const watched: StateMachine = {
  apply: (entries) => machine.apply(entries),
  restore: (chunks, index) => machine.restore(chunks, index),
  async *snapshot() {
    const worst = watchLoop();
    yield* machine.snapshot();
    nextSnapshot.resolve(worst());
    nextSnapshot = Promise.withResolvers<Stall>();
  },
};

async function answer(question: Question): Promise<Partial<Answer>> {
  switch (question.ask) {
    case 'open':
      await open(question.opts, question.identity);
      return { tasks: store.view().tasks.size };
    case 'fill':
      await million.fill(store, question.tasks);
      return { tasks: store.view().tasks.size };
    case 'flood':
      return { perSecond: await flood(question.ms) };
    case 'load':
      return await load(question.perSecond, systemClock.sleep(question.ms));
    case 'lead':
      return await lead(question.perSecond);
    case 'snapshot':
      return { stall: await snapshot() };
    case 'memory':
      return { rssMib: process.memoryUsage.rss() / MIB };
  }
}

async function open(opts: ConsensusOpts, identity: TlsIdentity): Promise<void> {
  keepMemorySmall(nullLog);
  const consensus = await startConsensus(opts, {
    identity: new HeldIdentity(identity),
    stateMachine: watched,
    log: nullLog,
    metrics: nullMetrics,
    onFailure: (error) => {
      throw error;
    },
  });
  const base = { clock: systemClock, random: systemRandom, metrics: nullMetrics };
  store = new ReplicatedStore(PROPOSER_OPTS, { ...base, machine, consensus });
  await leads(consensus);
  await store.update({ changes: [million.status(0, ++serial)] });
}

async function leads(consensus: Consensus): Promise<void> {
  const leading = Promise.withResolvers<void>();
  const end = consensus.onLeadership((leadership) => leadership.leading && leading.resolve());
  if (consensus.leadership().leading) leading.resolve();
  await leading.promise;
  end();
}

function update(): Promise<number> {
  serial += CHANGES_IN_WRITE;
  return store.update({ changes: million.updates(seededRandom(serial), store.view().tasks.size, serial) });
}

async function flood(ms: number): Promise<number> {
  const startedAtMs = performance.now();
  let count = 0;
  const writer = async (): Promise<void> => {
    while (performance.now() < startedAtMs + ms) {
      await update();
      count += CHANGES_IN_WRITE;
    }
  };
  await Promise.all(Array.from({ length: WRITES_IN_FLIGHT }, writer));
  return (count / (performance.now() - startedAtMs)) * MS_IN_SECOND;
}

async function load(perSecond: number, end: Promise<void>): Promise<Partial<Answer>> {
  const startedAtMs = performance.now();
  const worst = watchLoop();
  const underWay: Promise<number>[] = [];
  let isOver = false;
  const over = end.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    const due = ((performance.now() - startedAtMs) / MS_IN_SECOND) * perSecond;
    // One at a time, as reports come in.
    if (underWay.length * CHANGES_IN_WRITE < due) underWay.push(update());
    await systemClock.sleep(LOAD_EVERY_MS / WRITES_IN_FLIGHT);
  }
  await over;
  await Promise.all(underWay);
  const tookMs = performance.now() - startedAtMs;
  return { stall: worst(), perSecond: (underWay.length * CHANGES_IN_WRITE * MS_IN_SECOND) / tookMs };
}

/** What a new leader does first: its controllers look at everything, in a cluster in which nothing is to be done. */
async function lead(perSecond: number): Promise<Partial<Answer>> {
  const leading = new AbortController();
  const last = new LastController();
  const loop = new LeaderLoop(
    { ...LEADER_LOOP_OPTS, controllers: [...LEADER_LOOP_OPTS.controllers, last] },
    { store, network: NO_NETWORK, clock: systemClock, random: systemRandom, log: nullLog },
  );
  const ended = loop.run(leading.signal);
  const answer = await load(perSecond, last.sawEverything);
  leading.abort();
  await ended;
  return answer;
}

/** Little writes, until what they are makes a snapshot due. */
async function snapshot(): Promise<Stall> {
  let isTaken = false;
  const taken = nextSnapshot.promise.finally(() => {
    isTaken = true;
  });
  const random = seededRandom(serial);
  while (!isTaken) {
    const number = Math.floor(random.next() * store.view().tasks.size);
    await store.update({ changes: [million.status(number, ++serial)] });
    await turn();
  }
  return await taken;
}

process.on('message', ({ id, question }: Asked) => {
  void answer(question).then(
    (found) => say({ id, answer: { ...NOTHING, ...found } }),
    (error: Error) => say({ id, failure: error.stack ?? error.message }),
  );
});

function say(answered: Answered): void {
  process.send?.(answered);
}
