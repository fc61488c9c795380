import {
  ConfChangeError,
  ConfChangeType,
  type Config,
  type ConfState,
  decodeConfChange,
  type Entry,
  EntryType,
  LOCAL_APPEND,
  LOCAL_APPLY,
  MemoryStorage,
  type Message,
  MessageType,
  type PeerId,
  RaftError,
  RawNode,
  type ReadState,
  type Ready,
  type Snapshot,
} from '../src/index.ts';

/*
 * A whole group under a seed: messages are lost, doubled, reordered and cut off, members crash and come back with what
 * was durable, members come and go, logs are compacted; and after each step what must always hold is checked.
 */

/** Repeatable randomness: a multiplicative hash of a counter. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
  }

  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }
}

/** What the whole group may never contradict. */
export class Truth {
  /** What was applied at an index, by whoever was first. */
  readonly #applied = new Map<number, string>();
  readonly #leaders = new Map<number, PeerId>();
  /** The highest index that anybody has applied: what a client may have been told. */
  lastIndex = 0;

  applied(who: PeerId, entry: Entry): void {
    const text = `${entry.term} ${entry.type} ${entry.data.join(',')}`;
    const before = this.#applied.get(entry.index);
    if (before !== undefined && before !== text)
      throw new Error(`member ${who} applied ${text} at ${entry.index}, where ${before} was applied`);
    this.#applied.set(entry.index, text);
    this.lastIndex = Math.max(this.lastIndex, entry.index);
  }

  leads(who: PeerId, term: number): void {
    const other = this.#leaders.get(term);
    if (other !== undefined && other !== who)
      throw new Error(`members ${other} and ${who} lead in term ${term}`);
    this.#leaders.set(term, who);
  }

  get leaderTerms(): number {
    return this.#leaders.size;
  }
}

/** A member with what survives a crash (its storage) and what does not (everything else). */
export class SimMember {
  readonly id: PeerId;
  readonly storage: MemoryStorage;
  readonly #opts: Omit<Config, 'id' | 'storage'>;
  readonly #truth: Truth;
  /** Undefined while it is down. */
  node: RawNode | undefined;
  /** As of what is applied. */
  conf: ConfState;
  applied = 0;
  appends: Message[] = [];
  applies: Message[] = [];
  readStates: ReadState[] = [];

  constructor(id: PeerId, storage: MemoryStorage, opts: Omit<Config, 'id' | 'storage'>, truth: Truth) {
    this.id = id;
    this.storage = storage;
    this.#opts = opts;
    this.#truth = truth;
    this.conf = storage.initialState().confState;
    this.start();
  }

  start(): void {
    const { meta } = this.storage.snapshot();
    this.applied = meta.index;
    this.conf = meta.confState;
    this.node = new RawNode({ ...this.#opts, id: this.id, storage: this.storage, applied: meta.index });
  }

  /** What was not written is lost, and what was applied must be applied again. */
  crash(): void {
    this.node = undefined;
    this.appends = [];
    this.applies = [];
    this.readStates = [];
  }

  /** Carries out one Ready; what it sends. */
  work(node: RawNode): Message[] {
    const ready = node.ready();
    this.readStates.push(...ready.readStates);
    const sent: Message[] = [];
    for (const message of ready.messages) {
      if (message.to === LOCAL_APPEND) this.appends.push(message);
      else if (message.to === LOCAL_APPLY) this.applies.push(message);
      else sent.push(message);
    }
    if (this.#opts.asyncStorageWrites !== true) this.#carryOut(ready, node);
    return sent;
  }

  #carryOut(ready: Ready, node: RawNode): void {
    this.#write(ready.snapshot, ready.entries);
    if (ready.hardState) this.storage.setHardState(ready.hardState);
    this.#apply(node, ready.committedEntries);
    node.advance();
  }

  /** The oldest write; what may be said then. */
  append(): readonly Message[] {
    const order = this.appends.shift();
    if (order === undefined) return [];
    const { term, vote = 0, commit = 0, entries = [], snapshot, responses = [] } = order;
    this.#write(snapshot, entries);
    if (term !== 0) this.storage.setHardState({ term, vote, commit });
    return responses;
  }

  /** The oldest batch to apply; what is to be said then. */
  apply(node: RawNode): readonly Message[] {
    const order = this.applies.shift();
    if (order === undefined) return [];
    this.#apply(node, order.entries ?? []);
    return order.responses ?? [];
  }

  #write(snapshot: Snapshot | undefined, entries: readonly Entry[]): void {
    if (snapshot !== undefined) {
      this.storage.applySnapshot(snapshot);
      this.applied = snapshot.meta.index;
      this.conf = snapshot.meta.confState;
    }
    this.storage.append(entries);
  }

  #apply(node: RawNode, entries: readonly Entry[]): void {
    for (const entry of entries) {
      // A snapshot came in between, and has done what this entry does.
      if (entry.index <= this.applied) continue;
      if (entry.index !== this.applied + 1)
        throw new Error(`member ${this.id} is to apply ${entry.index} after ${this.applied}`);
      this.#truth.applied(this.id, entry);
      this.applied = entry.index;
      if (entry.type !== EntryType.Normal) this.#applyConfChange(node, entry);
    }
  }

  #applyConfChange(node: RawNode, { data }: Entry): void {
    try {
      this.conf = node.applyConfChange(decodeConfChange(data));
    } catch (error) {
      // It does not fit; nobody carries it out.
      if (!(error instanceof ConfChangeError)) throw error;
    }
  }

  /** Makes a snapshot of what is applied, and forgets most of the log before it. */
  compact(keep: number): void {
    if (this.applied <= this.storage.snapshot().meta.index) return;
    this.storage.createSnapshot(this.applied, this.conf, new Uint8Array());
    const upTo = this.applied - keep;
    if (upTo >= this.storage.firstIndex()) this.storage.compact(upTo);
  }
}

export interface SimulationOpts {
  readonly seed: number;
  readonly steps: number;
}

const IDS: readonly PeerId[] = [1, 2, 3, 4, 5];
const MESSAGES_MAX = 400;

export class Simulation {
  readonly dice: Dice;
  readonly truth = new Truth();
  readonly members: SimMember[] = [];
  readonly #lease: boolean;
  #messages: Message[] = [];
  #cut = new Set<PeerId>();
  #proposed = 0;
  /** What a read must see, by its context. */
  readonly #reads: number[] = [];
  answeredReads = 0;

  constructor(seed: number) {
    this.dice = new Dice(seed);
    this.#lease = this.dice.chance(0.3);
    const opts = this.#opts();
    const voters = IDS.slice(0, this.dice.pick([1, 3, 3, 4, 5]));
    for (const id of IDS) {
      const storage = voters.includes(id) ? MemoryStorage.bootstrap(voters) : new MemoryStorage();
      this.members.push(new SimMember(id, storage, opts, this.truth));
    }
  }

  #opts(): Omit<Config, 'id' | 'storage'> {
    const { dice } = this;
    return {
      electionTicks: 10,
      heartbeatTicks: 2,
      messageBytesMax: dice.pick([0, 60, 10_000]),
      inflightMessagesMax: dice.pick([1, 3, 64]),
      committedBytesMax: dice.pick([1, 80, 10_000]),
      asyncStorageWrites: dice.chance(0.6),
      preVote: dice.chance(0.6),
      checkQuorum: this.#lease || dice.chance(0.5),
      reads: this.#lease ? 'lease' : 'safe',
      stepDownOnRemoval: dice.chance(0.5),
      random: () => dice.next(),
    };
  }

  get up(): SimMember[] {
    return this.members.filter(({ node }) => node !== undefined);
  }

  get leaders(): SimMember[] {
    return this.up.filter(({ node }) => node?.status().role === 'leader');
  }

  /** Something happens, then what must hold is checked. */
  step(): void {
    const { dice } = this;
    const what = dice.next();
    if (what < 0.45) this.#deliverOne();
    else if (what < 0.8) this.#workOne();
    else if (what < 0.86) this.#tickAll();
    else if (what < 0.91) this.#propose();
    else if (what < 0.96) this.#read();
    else if (what < 0.985) this.#disturb();
    else this.#changeMembers();
    this.#check();
  }

  #deliverOne(): void {
    if (this.#messages.length === 0) return;
    const at = this.dice.below(this.#messages.length);
    const message = this.#messages[at] as Message;
    if (!this.dice.chance(0.05)) this.#messages.splice(at, 1);
    const isCut = this.#cut.has(message.from) !== this.#cut.has(message.to);
    if (!isCut && !this.dice.chance(0.05)) this.#hand(message);
    else this.#lost(message);
  }

  #lost(message: Message): void {
    this.#reportSnapshot(message, false);
  }

  /** Of a snapshot the sender is told what became of it. */
  #reportSnapshot({ type, from, to }: Message, ok: boolean): void {
    if (type === MessageType.Snap) this.members[from - 1]?.node?.reportSnapshot(to, ok);
  }

  #hand(message: Message): void {
    const node = this.members[message.to - 1]?.node;
    node?.step(message);
    this.#reportSnapshot(message, node !== undefined);
  }

  /** A member does one of the things it has to do. */
  #workOne(): void {
    const member = this.dice.pick(this.members);
    const { node } = member;
    if (node === undefined) return;
    const kind = this.dice.below(3);
    if (kind === 0 && node.hasReady()) this.#send(member.work(node));
    else if (kind === 1) this.#respond(member, member.append());
    else if (kind === 2) this.#respond(member, member.apply(node));
  }

  /** What storage answers comes at once and in order; the rest goes over the network. */
  #respond({ id }: SimMember, responses: readonly Message[]): void {
    for (const message of responses) {
      if (message.to === id) this.#hand(message);
      else this.#send([message]);
    }
  }

  #send(messages: readonly Message[]): void {
    this.#messages.push(...messages);
    while (this.#messages.length > MESSAGES_MAX) {
      for (const message of this.#messages.splice(this.dice.below(MESSAGES_MAX), 1)) this.#lost(message);
    }
  }

  /** Clocks go alike, in any order: that is what a lease rests on. */
  #tickAll(): void {
    const ids = IDS.toSorted(() => this.dice.next() - 0.5);
    for (const id of ids) this.members[id - 1]?.node?.tick();
  }

  #propose(): void {
    this.#proposed += 1;
    const data = new Uint8Array(8 + this.dice.below(30));
    new DataView(data.buffer).setUint32(0, this.#proposed);
    this.#try((node) => node.propose(data));
  }

  #read(): void {
    const context = new Uint8Array(4);
    new DataView(context.buffer).setUint32(0, this.#reads.length);
    this.#reads.push(this.truth.lastIndex);
    // A leader that was replaced without knowing it is the one that could answer wrongly.
    const { leaders } = this;
    const member = leaders.length > 0 && this.dice.chance(0.8) ? this.dice.pick(leaders) : undefined;
    this.#try((node) => node.readIndex(context), member);
  }

  /** Asks a member, any one by default; it may refuse. */
  #try(ask: (node: RawNode) => void, { node }: SimMember = this.dice.pick(this.members)): void {
    if (node === undefined) return;
    try {
      ask(node);
    } catch (error) {
      if (!(error instanceof RaftError) || error.code === 'INVARIANT') throw error;
    }
  }

  #disturb(): void {
    const { dice } = this;
    const member = dice.pick(this.members);
    const { node } = member;
    const what = dice.below(8);
    if (what === 0) member.crash();
    else if (node === undefined) member.start();
    else if (what === 1) this.#cutOff();
    else if (what === 2) this.#cut = new Set();
    else if (what === 3) member.compact(dice.below(5));
    else if (what === 4) node.leaderGone();
    else if (what === 5) node.transferLeader(dice.pick(IDS));
    else if (what === 6) this.#report(node);
    else node.campaign();
  }

  /** A leader from all others, or some from the rest. */
  #cutOff(): void {
    const { dice, leaders } = this;
    const some = IDS.filter(() => dice.chance(0.3));
    this.#cut = new Set(dice.chance(0.5) ? leaders.map(({ id }) => id) : some);
  }

  #report(node: RawNode): void {
    const id = this.dice.pick(IDS);
    if (this.dice.chance(0.5)) node.reportUnreachable(id);
    else node.reportSnapshot(id, this.dice.chance(0.5));
  }

  #changeMembers(): void {
    const { dice } = this;
    const { AddNode, RemoveNode, AddLearnerNode } = ConfChangeType;
    const type = () => dice.pick([AddNode, AddNode, RemoveNode, AddLearnerNode]);
    const changes = IDS.filter(() => dice.chance(0.3)).map((nodeId) => ({ type: type(), nodeId }));
    const transition = dice.pick(['auto', 'auto', 'joint-implicit', 'joint-explicit'] as const);
    this.#try((node) => node.proposeConfChange({ transition, changes, context: new Uint8Array() }));
  }

  #check(): void {
    for (const { id, node, readStates } of this.members) {
      const status = node?.status();
      if (status?.role === 'leader') this.truth.leads(id, status.term);
      for (const { index, context } of readStates.splice(0)) this.#checkRead(index, context);
    }
  }

  #checkRead(index: number, context: Uint8Array): void {
    const expected = this.#reads[new DataView(context.buffer).getUint32(0)] ?? 0;
    if (index < expected)
      throw new Error(`a read is to see ${index}, but ${expected} was acknowledged before`);
    this.answeredReads += 1;
  }

  /** Everything works again; lets time go by until all have applied the same, and something new. */
  recover(): void {
    this.#cut = new Set();
    for (const member of this.members) if (member.node === undefined) member.start();
    const goal = this.truth.lastIndex + 1;
    for (let round = 0; round < 3000; round += 1) {
      this.#tickAll();
      this.#workAll();
      const leader = this.leaders[0];
      if (leader !== undefined && round % 40 === 0) this.#nudge(leader);
      if (this.#hasRecovered(goal)) return;
    }
    const states = this.up.map(({ node }) => JSON.stringify(node?.status()));
    throw new Error(`the group does not recover:\n${states.join('\n')}`);
  }

  /** What an operator would do: leave a joint configuration, have a voter lead; then ask for something new. */
  #nudge({ node, id, conf: { voters, votersOutgoing } }: SimMember): void {
    try {
      if (votersOutgoing.length > 0)
        node?.proposeConfChange({ transition: 'auto', changes: [], context: new Uint8Array() });
      else if (!voters.includes(id)) node?.transferLeader(voters[0] as PeerId);
      else node?.propose(new Uint8Array(8));
    } catch (error) {
      if (!(error instanceof RaftError) || error.code === 'INVARIANT') throw error;
    }
  }

  #workAll(): void {
    for (const member of this.up) {
      const node = member.node as RawNode;
      while (node.hasReady()) {
        this.#send(member.work(node));
        while (member.appends.length > 0) this.#respond(member, member.append());
        while (member.applies.length > 0) this.#respond(member, member.apply(node));
      }
      while (member.appends.length > 0) this.#respond(member, member.append());
      while (member.applies.length > 0) this.#respond(member, member.apply(node));
    }
    for (const message of this.#messages.splice(0)) this.#hand(message);
    this.#check();
  }

  #hasRecovered(goal: number): boolean {
    const ahead = this.members.reduce((a, b) => (a.applied >= b.applied ? a : b));
    const { voters, votersOutgoing, learners } = ahead.conf;
    const ids = [...voters, ...votersOutgoing, ...learners];
    return (
      ahead.applied >= goal &&
      ids.every((id) => this.members[id - 1]?.applied === ahead.applied) &&
      this.truth.lastIndex === ahead.applied
    );
  }
}

/** Runs one history; throws what went wrong. */
export function simulate({ seed, steps }: SimulationOpts): Simulation {
  const simulation = new Simulation(seed);
  for (let step = 0; step < steps; step += 1) simulation.step();
  simulation.recover();
  return simulation;
}
