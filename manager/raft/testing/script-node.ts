import {
  type Config,
  type ConfState,
  decodeConfChange,
  type Entry,
  EntryType,
  type HardState,
  MemoryStorage,
  type Message,
  RawNode,
  type ReadState,
  type Ready,
  type Snapshot,
} from '../src/index.ts';
import { Raft } from '../src/raft.ts';

/** Its snapshot is always the newest state, whatever of the log is compacted. */
class HistoryStorage extends MemoryStorage {
  readonly history: Snapshot[] = [super.snapshot()];

  override snapshot(): Snapshot {
    return this.history.at(-1) as Snapshot;
  }
}

/** A member with its storage and its application, which appends all data to one text. */
export class ScriptNode {
  readonly raft: Raft;
  readonly node: RawNode;
  readonly config: Config;
  readonly storage: HistoryStorage;
  /** Work for the append thread and the apply thread, with asynchronous storage writes. */
  readonly appends: Message[] = [];
  readonly applies: Message[] = [];
  /** The answers to its reads so far. */
  readonly readStates: ReadState[] = [];

  constructor(config: Omit<Config, 'storage'>, initial: Snapshot | undefined) {
    this.storage = new HistoryStorage();
    if (initial !== undefined) {
      this.storage.applySnapshot(initial);
      this.storage.history.push(initial);
    }
    this.config = { ...config, storage: this.storage };
    this.raft = new Raft(this.config);
    this.node = new RawNode(this.config, this.raft);
  }

  /** All of a Ready, without asynchronous storage writes. What it says of sending is the caller's. */
  carryOut({ hardState, entries, snapshot, committedEntries, readStates }: Ready): void {
    this.readStates.push(...readStates);
    this.write({ hardState, entries, snapshot });
    this.apply(committedEntries);
    this.node.advance();
  }

  /** The append thread's work; an order's own term, vote and commit are its hard state, if it has any. */
  writeOrder({ term, vote = 0, commit = 0, entries = [], snapshot }: Message): void {
    this.write({ hardState: term === 0 ? undefined : { term, vote, commit }, entries, snapshot });
  }

  write(work: {
    readonly hardState: HardState | undefined;
    readonly entries: readonly Entry[];
    readonly snapshot: Snapshot | undefined;
  }): void {
    if (work.snapshot !== undefined) {
      this.storage.applySnapshot(work.snapshot);
      this.storage.history.push(work.snapshot);
    }
    if (work.hardState !== undefined) this.storage.setHardState(work.hardState);
    this.storage.append(work.entries);
  }

  /** The apply thread's work. */
  apply(entries: readonly Entry[]): void {
    for (const entry of entries) this.#applyOne(entry);
  }

  #applyOne({ type, term, index, data }: Entry): void {
    const before = this.storage.snapshot();
    // A snapshot came in between, and has done what this entry does.
    if (index <= before.meta.index) return;
    let { confState }: { readonly confState: ConfState } = before.meta;
    let added = data;
    if (type !== EntryType.Normal) {
      const change = decodeConfChange(data);
      confState = this.node.applyConfChange(change);
      added = change.context;
    }
    const appended = Uint8Array.of(...before.data, ...added);
    this.storage.history.push({ meta: { index, term, confState }, data: appended });
  }
}
