import { codeOf, type FailureCode, messageOf } from '#proto/base/errors.ts';
import type { Leadership, Member, MemberStatus, SnapshotPolicy } from './consensus.ts';
import type { DataKey } from './keys.ts';
import type { Packed } from './packed.ts';
import type { Outcomes } from './proposals.ts';

/*
 * What the main thread and the Raft loop say to each other. Order is kept in both directions, and everything that may
 * be large waits for an answer before more of it is sent.
 */

/** A failure as it crosses between threads. */
export interface Failure {
  readonly code: FailureCode;
  readonly message: string;
}

export function failureOf(error: unknown): Failure {
  return { code: codeOf(error), message: messageOf(error) };
}

/** Asked by the main thread; each is answered by one `reply`. */
export type Request =
  | { readonly ask: 'add-member'; readonly member: Omit<Member, 'learner' | 'raftId'> }
  | { readonly ask: 'remove-member'; readonly raftId: number }
  | { readonly ask: 'transfer-leadership' }
  | { readonly ask: 'rotate-key'; readonly key: DataKey }
  | { readonly ask: 'status' }
  | { readonly ask: 'stop' };

/** What `status` is answered with; what the main thread has applied it knows itself. */
export interface CoreStatus {
  readonly self: Member;
  readonly term: number;
  readonly commitIndex: number;
  readonly snapshotIndex: number;
  readonly members: readonly MemberStatus[];
}

/** What each question is answered with. */
export interface Answers {
  'add-member': Member;
  'remove-member': undefined;
  'transfer-leadership': undefined;
  'rotate-key': undefined;
  status: CoreStatus;
  stop: undefined;
}

export type Answer = Answers[keyof Answers];

/** From the main thread to the loop. */
export type ToCore =
  /** Proposals `firstId`, `firstId` + 1, ... */
  | { readonly kind: 'propose'; readonly firstId: number; readonly data: Packed }
  /** Everything handed over up to here is applied. */
  | { readonly kind: 'applied'; readonly index: number }
  /** Tell, in `read`, up to where to apply for a read that starts now. */
  | { readonly kind: 'read'; readonly id: number }
  | { readonly kind: 'request'; readonly id: number; readonly request: Request }
  | SnapshotToCore;

export type SnapshotToCore =
  | { readonly kind: 'snapshot-policy'; readonly policy: SnapshotPolicy }
  /** Our own snapshot, asked for by `take-snapshot`; each piece is answered by `snapshot-more`. */
  | { readonly kind: 'snapshot-begin'; readonly index: number }
  | { readonly kind: 'snapshot-piece'; readonly piece: Uint8Array }
  | { readonly kind: 'snapshot-end' }
  | { readonly kind: 'snapshot-failed'; readonly failure: Failure }
  /** The next piece of the snapshot that is being restored, please. */
  | { readonly kind: 'restore-more' };

/** So many entries in a row have this term. */
export interface TermRun {
  readonly term: number;
  readonly count: number;
}

/** From the loop to the main thread. */
export type ToHost = OrderedToHost | UnorderedToHost;

/** Waits behind a restore that is under way. */
export type OrderedToHost =
  /** What was on disk is restored, and the loop runs. */
  | { readonly kind: 'started' }
  /** Entries from `firstIndex` on, to apply, and the proposals that this decides. */
  | {
      readonly kind: 'committed';
      readonly firstIndex: number;
      readonly terms: readonly TermRun[];
      readonly data: Packed;
      readonly outcomes: Outcomes;
      /** Say `applied` when that is done. */
      readonly asks: boolean;
    }
  /** Say `applied` for all there was so far. */
  | { readonly kind: 'how-far' }
  | { readonly kind: 'outcomes'; readonly outcomes: Outcomes }
  /** These proposals never reached the log, or these reads are given up. */
  | {
      readonly kind: 'refused';
      readonly what: 'proposal' | 'read';
      readonly ids: readonly number[];
      readonly failure: Failure;
    }
  /** Reads with these ids may go on once `index` is applied. */
  | { readonly kind: 'read'; readonly ids: readonly number[]; readonly index: number }
  | { readonly kind: 'leadership'; readonly leadership: Leadership }
  | { readonly kind: 'members'; readonly members: readonly Member[] }
  /** This manager is no member of its group any more, and never will be as who it is. */
  | { readonly kind: 'removed' }
  | { readonly kind: 'take-snapshot' }
  /** The whole state is replaced: pieces follow as they are asked for, the last one without data. */
  | { readonly kind: 'restore'; readonly index: number };

/** May overtake a restore, or is part of one. */
export type UnorderedToHost =
  /** The loop could not start, or it found something broken and stopped. The last message. */
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'reply'; readonly id: number; readonly answer: Answer }
  | { readonly kind: 'denied'; readonly id: number; readonly failure: Failure }
  | { readonly kind: 'snapshot-more' }
  | { readonly kind: 'restore-piece'; readonly piece: Uint8Array | undefined };

/** One end of the connection between the two. */
export interface Port<Out, In> {
  /** What is in `handOver` belongs to the other side afterwards. */
  post(message: Out, handOver?: readonly ArrayBuffer[]): void;
  onMessage(receive: (message: In) => void): void;
}

export type CorePort = Port<ToHost, ToCore>;
export type HostPort = Port<ToCore, ToHost>;

/** Both ends in one thread. Messages arrive in a later microtask, so that no call comes back into its caller. */
export function localPorts(): { core: CorePort; host: HostPort } {
  const toCore = new LocalPort<ToCore>();
  const toHost = new LocalPort<ToHost>();
  return {
    core: { post: (message) => toHost.deliver(message), onMessage: (receive) => toCore.listen(receive) },
    host: { post: (message) => toCore.deliver(message), onMessage: (receive) => toHost.listen(receive) },
  };
}

class LocalPort<T> {
  #receive: ((message: T) => void) | undefined;
  #waiting: T[] = [];

  deliver(message: T): void {
    this.#waiting.push(message);
    if (this.#waiting.length === 1) queueMicrotask(() => this.#flush());
  }

  listen(receive: (message: T) => void): void {
    this.#receive = receive;
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    if (this.#receive === undefined) return;
    const messages = this.#waiting;
    this.#waiting = [];
    for (const message of messages) this.#receive(message);
  }
}
