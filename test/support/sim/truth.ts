import { crc32 } from 'node:zlib';
import { type Entry, EntryType, type Message, MessageType } from 'raft-ts';
import type { CommittedEntry } from '#manager/consensus/consensus.ts';
import type { Survival } from './survival.ts';

/** What was applied at an index, by whoever was first. */
interface Applied {
  readonly term: number;
  readonly digest: string;
  readonly data: Uint8Array;
  /** The term its first applier was in: whoever leads later has it. */
  readonly seenInTerm: number;
}

/** A proposal, by what it says. */
interface Proposed {
  state: 'open' | 'made' | 'not made';
  indices: number[];
}

/** What a digest holds of data as it is: more than what numbers a transaction. */
const DIGEST_BYTES = 256;

const FROM_LEADERS: ReadonlySet<MessageType> = new Set([
  MessageType.App,
  MessageType.Heartbeat,
  MessageType.Snap,
  MessageType.TimeoutNow,
]);

/** Whoever says these has its term on disk. A request for votes may go out before. */
const FROM_DURABLE: ReadonlySet<MessageType> = new Set([
  ...FROM_LEADERS,
  MessageType.VoteResp,
  MessageType.AppResp,
]);

/**
 * What no group of managers may ever contradict, whatever befalls it: the properties of Raft (paper, figure 3) and what
 * its users rest on, looked for in every message that is sent and every entry that is applied. The first contradiction
 * is kept.
 */
export class Truth {
  readonly #leaders = new Map<number, number>();
  readonly #votes = new Map<string, number>();
  readonly #terms = new Map<number, number>();
  /** Entries by index and term, and the term of the one before each. */
  readonly #entries = new Map<string, { readonly digest: string; previousTerm?: number }>();
  readonly #applied: (Applied | undefined)[] = [];
  readonly #hashes = new Map<number, string>();
  readonly #proposed = new Map<string, Proposed>();
  violation: string | undefined;

  get lastApplied(): number {
    return Math.max(0, this.#applied.length - 1);
  }

  get leaders(): number {
    return this.#leaders.size;
  }

  /** Something that must not be. */
  violate(what: string): void {
    this.violation ??= what;
  }

  /** The highest term in which a member has promised something. */
  termOf(raftId: number): number {
    return this.#terms.get(raftId) ?? 0;
  }

  sent(message: Message): void {
    const { type, from, term } = message;
    if (FROM_DURABLE.has(type)) this.#terms.set(from, Math.max(term, this.termOf(from)));
    this.#checkVote(message);
    if (FROM_LEADERS.has(type)) this.#checkLeader(message);
    if (type === MessageType.App) this.#checkEntries(message);
  }

  /** A member has started again. What it promised before, it promised in terms that were on its disk. */
  restarted(raftId: number, term: number): void {
    const before = this.termOf(raftId);
    if (term < before)
      this.violate(`hard state: member ${raftId} starts in term ${term}, and spoke in term ${before}`);
  }

  /** One vote a term. A leader has voted for itself. */
  #checkVote({ type, from, to, term, reject }: Message): void {
    const isVote = type === MessageType.VoteResp && reject !== true;
    if (!isVote && !FROM_LEADERS.has(type)) return;
    const choice = isVote ? to : from;
    const key = `${from} ${term}`;
    const before = this.#votes.get(key) ?? choice;
    if (before !== choice)
      this.violate(`one vote: member ${from} voted in term ${term} for ${before} and for ${choice}`);
    this.#votes.set(key, choice);
  }

  /** Election safety. */
  #checkLeader({ from, term }: Message): void {
    const before = this.#leaders.get(term) ?? from;
    if (before !== from) this.violate(`election safety: members ${before} and ${from} lead in term ${term}`);
    this.#leaders.set(term, from);
  }

  #checkEntries({ from, term, logTerm = 0, entries = [] }: Message): void {
    let previousTerm = logTerm;
    for (const entry of entries) {
      this.#checkMatching(entry, previousTerm);
      previousTerm = entry.term;
      const applied = this.#applied[entry.index];
      if (applied === undefined || term < applied.seenInTerm) continue;
      // Of a change of members the state machine gets no more than the place.
      const isSame = entry.type !== EntryType.Normal || applied.digest === digestOf(entry.data);
      if (applied.term !== entry.term || !isSame)
        this.violate(
          `leader completeness: member ${from} leads in term ${term} with another entry ${entry.index} than was applied`,
        );
    }
  }

  /** Log matching: the same index and term mean the same entry, behind the same log. */
  #checkMatching({ index, term, data }: Entry, previousTerm: number): void {
    const key = `${index} ${term}`;
    const digest = digestOf(data);
    const before = this.#entries.get(key);
    if (before === undefined) this.#entries.set(key, { digest, previousTerm });
    else if (before.digest !== digest || before.previousTerm !== previousTerm)
      this.violate(`log matching: two entries ${index} of term ${term}, or behind different ones`);
  }

  /** State-machine safety: everybody applies the same. */
  applied(who: string, raftTerm: number, { index, term, data }: CommittedEntry): void {
    const digest = digestOf(data);
    const before = this.#applied[index];
    if (before === undefined) {
      this.#applied[index] = { term, digest, data, seenInTerm: Math.max(term, raftTerm) };
      this.#proposed.get(digest)?.indices.push(index);
    } else if (before.term !== term || before.digest !== digest)
      this.violate(`state-machine safety: ${who} applied another entry ${index} than was applied before`);
  }

  /** The state after an index is the same everywhere. */
  hash(who: string, index: number, hash: string): void {
    const before = this.#hashes.get(index) ?? hash;
    if (before !== hash) this.violate(`same state: ${who} has another state at index ${index} than another`);
    this.#hashes.set(index, hash);
  }

  /** Something is proposed. No two proposals are alike: the store numbers its own. */
  proposed(data: Uint8Array): ProposalWatch {
    const proposal: Proposed = { state: 'open', indices: [] };
    this.#proposed.set(digestOf(data), proposal);
    return {
      made: (index, term) => {
        proposal.state = 'made';
        const applied = this.#applied[index];
        if (applied === undefined || applied.term !== term || applied.digest !== digestOf(data))
          this.violate(
            `outcomes: a proposal is said to be entry ${index} of term ${term}, and another is there`,
          );
      },
      notMade: () => {
        proposal.state = 'not made';
      },
    };
  }

  /**
   * A member goes on without the others, who are gone for good: what it has is all there is, acknowledged or not. What it
   * knows to be committed is what everybody had.
   */
  goOnAlone(raftId: number, { term, commit, lastIndex, entries }: Survival): void {
    this.checkProposals();
    this.#proposed.clear();
    this.#applied.length = Math.min(this.#applied.length, lastIndex + 1);
    const parts: number[] = [];
    for (const [index, entry] of entries) {
      const digest = digestOf(entry.data);
      const before = this.#applied[index];
      if (before?.term === entry.term && before.digest === digest) continue;
      // Who went on alone before and was cut short calls committed what it has not applied yet.
      if (index <= commit && before !== undefined)
        this.violate(`leader completeness: member ${raftId} has another entry ${index} than was applied`);
      parts.push(index);
      this.#applied[index] = { ...entry, digest, seenInTerm: entry.term };
    }
    this.#forgetAfter(raftId, term, Math.min(lastIndex, ...parts.map((index) => index - 1)));
  }

  #forgetAfter(raftId: number, term: number, lastIndex: number): void {
    for (const index of this.#hashes.keys()) if (index > lastIndex) this.#hashes.delete(index);
    this.#entries.clear();
    for (const later of this.#leaders.keys()) if (later > term) this.#leaders.delete(later);
    for (const key of this.#votes.keys()) if (!key.startsWith(`${raftId} `)) this.#votes.delete(key);
    for (const other of this.#terms.keys()) if (other !== raftId) this.#terms.delete(other);
    for (const [index, applied] of this.#applied.entries())
      if (applied !== undefined)
        this.#applied[index] = { ...applied, seenInTerm: Math.min(term, applied.seenInTerm) };
  }

  /** Everything that was applied, in order; fewer than all where one that nobody applied is among them. */
  history(): CommittedEntry[] {
    const entries: CommittedEntry[] = [];
    for (let index = 1; index < this.#applied.length; index += 1) {
      const applied = this.#applied[index];
      if (applied === undefined) break;
      entries.push({ index, term: applied.term, data: applied.data });
    }
    return entries;
  }

  /** What proposers were told came true. To be asked at the end. */
  checkProposals(): void {
    for (const { state, indices } of this.#proposed.values()) {
      if (indices.length > 1) this.violate(`outcomes: a proposal was applied at ${indices.join(' and ')}`);
      if (state === 'not made' && indices.length > 0)
        this.violate(`outcomes: entry ${indices[0]} was applied, and its proposer told that it was not made`);
    }
  }
}

/** To be told what the proposer is told. */
export interface ProposalWatch {
  made(index: number, term: number): void;
  notMade(): void;
}

const digests = new WeakMap<Uint8Array, string>();

/** Equal for equal data. What is short stands for itself; of what is long the checksum, and how it begins. */
function digestOf(data: Uint8Array): string {
  if (data.length === 0) return '';
  const known = digests.get(data);
  if (known !== undefined) return known;
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
  const start = bytes.toString('latin1', 0, DIGEST_BYTES);
  const digest = data.length <= DIGEST_BYTES ? start : `${crc32(bytes)} ${data.length} ${start}`;
  digests.set(data, digest);
  return digest;
}
