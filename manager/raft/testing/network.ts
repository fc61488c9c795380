import {
  type Config,
  type ConfState,
  EntryType,
  type Message,
  type PeerId,
  type Snapshot,
} from '../src/index.ts';
import { ScriptNode } from './script-node.ts';

/** Who is there, and what differs from the defaults for all. */
export type NetworkOpts = Partial<Omit<Config, 'id' | 'storage'>> & {
  readonly voters: readonly PeerId[];
  readonly learners?: readonly PeerId[];
  /** Members that run but are told nothing yet. */
  readonly waiting?: readonly PeerId[];
};

const ROUNDS_MAX = 10_000;

/** A group in one place: messages arrive at once and in order, unless a test cuts a link or loses some. */
export class Network {
  readonly members = new Map<PeerId, ScriptNode>();
  /** Every message that was sent, lost ones included. */
  readonly sent: Message[] = [];
  /** A message that this accepts does not arrive. */
  lose: (message: Message) => boolean = () => false;
  readonly #opts: NetworkOpts;
  readonly #cut = new Set<string>();
  readonly #queue: Message[] = [];

  constructor(opts: NetworkOpts) {
    this.#opts = opts;
    const { voters, learners = [], waiting = [] } = opts;
    const confState: ConfState = {
      voters,
      learners,
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    };
    const snapshot: Snapshot = { meta: { index: 1, term: 1, confState }, data: new Uint8Array() };
    for (const id of [...voters, ...learners]) this.add(id, snapshot);
    for (const id of waiting) this.add(id, undefined);
  }

  add(id: PeerId, initial: Snapshot | undefined): void {
    const { voters, learners, waiting, ...config } = this.#opts;
    const defaults = {
      electionTicks: 10,
      heartbeatTicks: 1,
      messageBytesMax: 1024 * 1024,
      inflightMessagesMax: 256,
      random: () => 0,
    };
    this.members.set(id, new ScriptNode({ ...defaults, ...config, id }, initial));
  }

  member(id: PeerId): ScriptNode {
    const member = this.members.get(id);
    if (member === undefined) throw new Error(`no member ${id}`);
    return member;
  }

  node(id: PeerId) {
    return this.member(id).node;
  }

  /** Makes a member leader, and lets everybody know. */
  elect(id: PeerId): void {
    this.node(id).campaign();
    this.settle();
    if (this.node(id).status().role !== 'leader') throw new Error(`member ${id} was not elected`);
  }

  propose(id: PeerId, data: string): void {
    this.node(id).propose(new TextEncoder().encode(data));
  }

  /** Time goes by for a member; what it wants to send goes at once. */
  tick(id: PeerId, count = 1): void {
    for (let done = 0; done < count; done += 1) {
      this.node(id).tick();
      this.settle();
    }
  }

  /** The data of what a member has applied, in order. */
  applied(id: PeerId): string[] {
    const { storage } = this.member(id);
    const { applied } = this.node(id).status();
    return storage
      .entries(storage.firstIndex(), applied + 1, Number.POSITIVE_INFINITY)
      .filter(({ type, data }) => type === EntryType.Normal && data.length > 0)
      .map(({ data }) => new TextDecoder().decode(data));
  }

  /** No messages between a member and these others, or all others. */
  cut(id: PeerId, others: readonly PeerId[] = [...this.members.keys()]): void {
    for (const other of others) this.#cut.add(`${id} ${other}`).add(`${other} ${id}`);
  }

  heal(): void {
    this.#cut.clear();
    this.lose = () => false;
  }

  /** Carries out all Readys and delivers all messages until nothing is left to do. */
  settle(): void {
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      for (const id of this.members.keys()) this.carryOut(id);
      if (this.#queue.length === 0) return;
      for (const message of this.#queue.splice(0)) this.#deliver(message);
    }
    throw new Error(`messages go on and on: nothing is settled after ${ROUNDS_MAX} rounds`);
  }

  /** Carries out what one member wants done; its messages wait. */
  carryOut(id: PeerId): void {
    const member = this.member(id);
    while (member.node.hasReady()) {
      const ready = member.node.ready();
      member.carryOut(ready);
      this.sent.push(...ready.messages);
      this.#queue.push(...ready.messages);
    }
  }

  #deliver(message: Message): void {
    const { from, to } = message;
    if (this.#cut.has(`${from} ${to}`) || this.lose(message)) return;
    this.members.get(to)?.node.step(message);
  }
}
