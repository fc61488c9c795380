// A replicated key-value store, three members in one process: node manager/raft/examples/key-value.ts
import {
  MemoryStorage,
  type Message,
  type PeerId,
  RawNode,
  type ReadState,
  type Ready,
} from '../src/index.ts';

const IDS: readonly PeerId[] = [1, 2, 3];
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (data: Uint8Array): string => new TextDecoder().decode(data);

class Store {
  readonly id: PeerId;
  readonly values = new Map<string, string>();
  readonly node: RawNode;
  readonly #storage = MemoryStorage.bootstrap(IDS);
  #reads: ReadState[] = [];
  #applied = 1;

  constructor(id: PeerId) {
    this.id = id;
    const opts = { electionTicks: 10, heartbeatTicks: 1, preVote: true, checkQuorum: true };
    const limits = { messageBytesMax: 1024 * 1024, inflightMessagesMax: 64 };
    this.node = new RawNode({ id, storage: this.#storage, random: Math.random, ...opts, ...limits });
  }

  /** Carries out a Ready; what is to be sent. Nothing is ever compacted, so that there are no snapshots. */
  carryOut(ready: Ready): readonly Message[] {
    this.#storage.append(ready.entries);
    if (ready.hardState) this.#storage.setHardState(ready.hardState);
    for (const { index, data } of ready.committedEntries) {
      const [key, value] = text(data).split('=');
      if (key && value) this.values.set(key, value);
      this.#applied = index;
    }
    this.#reads.push(...ready.readStates);
    return ready.messages;
  }

  /** The reads that may be answered: what they have to see is applied. */
  takeReads(): string[] {
    const due = this.#reads.filter(({ index }) => index <= this.#applied);
    this.#reads = this.#reads.filter((read) => !due.includes(read));
    return due.map(({ context }) => `${text(context)} = ${this.values.get(text(context))}`);
  }
}

class Group {
  readonly #stores = IDS.map((id) => new Store(id));
  down: Store | undefined;

  get up(): Store[] {
    return this.#stores.filter((store) => store !== this.down);
  }

  /** Lets time go by until somebody leads. */
  leader(): Store {
    this.run(10);
    return this.up.find(({ node }) => node.status().role === 'leader') ?? this.leader();
  }

  run(ticks: number): void {
    for (let tick = 0; tick < ticks; tick += 1) {
      for (const { node } of this.up) node.tick();
      while (this.up.some(({ node }) => node.hasReady())) for (const store of this.up) this.#work(store);
    }
  }

  #work(store: Store): void {
    if (!store.node.hasReady()) return;
    const messages = store.carryOut(store.node.ready());
    store.node.advance();
    for (const message of messages) this.up.find(({ id }) => id === message.to)?.node.step(message);
  }
}

export function demo(print: (line: string) => void): void {
  const group = new Group();
  const first = group.leader();
  first.node.propose(bytes('colour=red'));
  print('the leader is asked for colour = red');
  group.run(1);
  const follower = group.up.find((store) => store !== first);
  follower?.node.readIndex(bytes('colour'));
  group.run(1);
  print(`a follower reads ${follower?.takeReads()}`);
  group.down = first;
  group.leader().node.propose(bytes('colour=blue'));
  print('that leader is down; the next one is asked for colour = blue');
  group.down = undefined;
  group.run(10);
  print(`the first leader is back, and has colour = ${first.values.get('colour')}`);
}

if (import.meta.main) demo(console.log);
