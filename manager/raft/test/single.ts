import {
  type Config,
  decodeConfChange,
  type Entry,
  EntryType,
  type HardState,
  MemoryStorage,
  type Message,
  MessageType,
  type PeerId,
  RawNode,
  type Ready,
} from '../src/index.ts';

/** One member whose peers are played by the test: messages in, messages out. */
export class Single {
  readonly storage: MemoryStorage;
  readonly node: RawNode;
  readonly applied: Entry[] = [];
  readonly readys: Ready[] = [];

  constructor(storage: MemoryStorage, opts: Partial<Config> = {}) {
    this.storage = storage;
    this.node = new RawNode({
      id: 1,
      electionTicks: 10,
      heartbeatTicks: 1,
      messageBytesMax: 1024 * 1024,
      inflightMessagesMax: 256,
      random: () => 0,
      ...opts,
      storage,
    });
  }

  /** Carries out all that is to be done; what it sends. */
  drain(): Message[] {
    const messages: Message[] = [];
    while (this.node.hasReady()) {
      const ready = this.node.ready();
      this.readys.push(ready);
      if (ready.snapshot) this.storage.applySnapshot(ready.snapshot);
      this.storage.append(ready.entries);
      if (ready.hardState) this.storage.setHardState(ready.hardState);
      for (const entry of ready.committedEntries) this.#apply(entry);
      messages.push(...ready.messages);
      this.node.advance();
    }
    return messages;
  }

  #apply(entry: Entry): void {
    this.applied.push(entry);
    if (entry.type !== EntryType.Normal) this.node.applyConfChange(decodeConfChange(entry.data));
  }

  /** A message to this member, in its own term unless said otherwise; what it answers. */
  receive(message: Partial<Message> & Pick<Message, 'type' | 'from'>): Message[] {
    this.node.step({ to: 1, term: this.node.status().term, ...message });
    return this.drain();
  }

  ticks(count: number): Message[] {
    const messages: Message[] = [];
    for (let done = 0; done < count; done += 1) {
      this.node.tick();
      messages.push(...this.drain());
    }
    return messages;
  }

  /** The terms of its log, from index 2 on: index 1 is the snapshot that names the members. */
  terms(): number[] {
    return this.storage
      .entries(2, this.storage.lastIndex() + 1, Number.POSITIVE_INFINITY)
      .map(({ term }) => term);
  }
}

/** Entries of these terms, from index 2 on. */
export function entriesOf(terms: readonly number[], from = 2): Entry[] {
  return terms.map((term, at) => ({
    type: EntryType.Normal,
    term,
    index: from + at,
    data: Uint8Array.of(at),
  }));
}

export interface SingleOpts extends Partial<Config> {
  readonly voters?: readonly PeerId[];
  /** Of its log, from index 2 on. */
  readonly terms?: readonly number[];
  readonly hardState?: HardState;
}

/** Member 1 of three, in term 1, with an empty log; unless said otherwise. */
export function single({ voters = [1, 2, 3], terms = [], hardState, ...config }: SingleOpts = {}): Single {
  const storage = MemoryStorage.bootstrap(voters);
  storage.append(entriesOf(terms));
  storage.setHardState(hardState ?? { term: terms.at(-1) ?? 1, vote: 0, commit: 1 });
  return new Single(storage, config);
}

/** The same, elected leader of the next term by its peers, with that term's first entry in its log. */
export function singleLeader(opts: SingleOpts = {}): Single {
  const member = single(opts);
  member.node.campaign();
  member.drain();
  const { term } = member.node.status();
  for (const from of opts.voters ?? [1, 2, 3]) {
    if (from !== 1) member.receive({ type: MessageType.VoteResp, from, term });
  }
  return member;
}
