import type { Message } from 'raft-ts';
import { type BackoffOpts, backoffMs } from '#proto/base/backoff.ts';
import type { Clock } from '#proto/base/clock.ts';
import { messageOf } from '#proto/base/errors.ts';
import { LIMITS } from '#proto/base/limits.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import type { Line, LineDialer } from '#proto/rpc/line.ts';
import { encodeBatch } from './batch-frame.ts';
import type { Peer } from './membership.ts';
import { REMOVED } from './transport.ts';
import { decodeFrame, encodeFrame, failureIn, messageBytes } from './wire.ts';

/** A manager that comes back should be heard soon; one that stays away should cost little. */
const RECONNECT: BackoffOpts = { firstMs: 10, maxMs: 1_000 };
/** A line that lived this long was a good one: the next failure counts as the first. */
const GOOD_LINE_MS = 1_000;
/** Room for what Raft has under way to one member, and for what it says beside. */
const WAITING_MESSAGES_MAX = 2 * LIMITS.raftInflightMessagesMax;
const WAITING_BYTES_MAX = LIMITS.raftInflightBytesMax + 2 * LIMITS.raftMessageBytesMax;
/** Beyond this the line is given no more, so that what waits stays countable as messages. */
const UNSENT_BYTES_MAX = 1024 * 1024;

export interface PeerLineModules {
  readonly lines: LineDialer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly events: { unreachable(raftId: number): void; removed(): void };
}

/** The line on which one other member is spoken to: opened when made, and again whenever it breaks, until disposed. */
export class PeerLine implements AsyncDisposable {
  readonly peer: Peer;
  readonly #self: Peer;
  readonly #modules: PeerLineModules;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #line: Line | undefined;
  #waiting: Message[] = [];
  #waitingBytes = 0;
  #scheduled = false;
  /** Between a break and the next try: what is sent now would arrive late or never. */
  #down = false;

  constructor(self: Peer, peer: Peer, modules: PeerLineModules) {
    this.peer = peer;
    this.#self = self;
    this.#modules = modules;
    this.#running = this.#run();
  }

  /** What is sent in one turn goes as one batch. */
  send(message: Message): void {
    const bytes = messageBytes(message);
    const full =
      this.#waiting.length >= WAITING_MESSAGES_MAX || this.#waitingBytes + bytes > WAITING_BYTES_MAX;
    if (this.#down || full) return this.#modules.events.unreachable(this.peer.raftId);
    this.#waiting.push(message);
    this.#waitingBytes += bytes;
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new Error('stopping'));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#modules;
    const { signal } = this.#stopping;
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      const openedAtMs = clock.monotonicMs();
      await this.#speak(signal);
      if (signal.aborted) return;
      if (clock.monotonicMs() - openedAtMs > GOOD_LINE_MS) attempt = 0;
      this.#drop();
      await clock.sleep(backoffMs(RECONNECT, attempt, random), signal).catch(() => undefined);
      this.#down = false;
    }
  }

  /** One line, from open to broken. */
  async #speak(signal: AbortSignal): Promise<void> {
    const { lines, log } = this.#modules;
    const { raftId, raftAddr } = this.peer;
    const broken = Promise.withResolvers<Error | undefined>();
    const events = {
      frame: (content: Uint8Array) => this.#refused(content),
      drained: () => this.#flush(),
      ended: broken.resolve,
    };
    try {
      this.#line = await lines.dial(raftAddr, 'manager', events, signal);
      this.#line.send(encodeFrame({ batch: { sender: this.#self } }));
      this.#flush();
      log.debug('the line to a manager broke', { raftId, raftAddr, err: await broken.promise });
    } catch (error) {
      log.debug('a manager was not reached', { raftId, raftAddr, why: messageOf(error) });
    } finally {
      this.#line = undefined;
    }
  }

  /** Nobody answers on this line but to end it. */
  #refused(content: Uint8Array): void {
    const refusal = failureIn(decodeFrame(content));
    if (refusal?.message === REMOVED) this.#modules.events.removed();
    throw refusal ?? new Error('an answer where none was asked for');
  }

  #drop(): void {
    this.#down = true;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#modules.events.unreachable(this.peer.raftId);
  }

  #flush(): void {
    while (this.#line !== undefined && this.#waiting.length > 0 && this.#line.unsentBytes < UNSENT_BYTES_MAX)
      this.#line.send(encodeBatch(this.#take()));
  }

  /** Everything that waits, as far as a frame holds. */
  #take(): Message[] {
    let bytes = 0;
    let count = 0;
    for (const message of this.#waiting) {
      bytes += messageBytes(message);
      if (count > 0 && bytes > LIMITS.raftMessageBytesMax) break;
      this.#waitingBytes -= messageBytes(message);
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }
}
