import type { Message } from 'raft-ts';
import { type BackoffOpts, backoffMs } from '#proto/base/backoff.ts';
import type { Clock } from '#proto/base/clock.ts';
import { messageOf } from '#proto/base/errors.ts';
import { LIMITS } from '#proto/base/limits.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import type { RaftBatch } from '#proto/gen/shoal.ts';
import type { Input } from '#proto/rpc/codec.ts';
import type { RpcDialer } from '#proto/rpc/types.ts';
import type { Peer } from './membership.ts';
import { REMOVED } from './transport.ts';
import { messageBytes, messageToWire } from './wire.ts';

/** A manager that comes back should be heard soon; one that stays away should cost little. */
const RECONNECT: BackoffOpts = { firstMs: 10, maxMs: 1_000 };
/** A stream that lived this long was a good one: the next failure counts as the first. */
const GOOD_STREAM_MS = 1_000;
/** Room for what Raft has under way to one member, and for what it says beside. */
const WAITING_MESSAGES_MAX = 2 * LIMITS.raftInflightMessagesMax;
const WAITING_BYTES_MAX = LIMITS.raftInflightBytesMax + 2 * LIMITS.raftMessageBytesMax;

export interface PeerStreamModules {
  readonly dialer: RpcDialer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly events: { unreachable(raftId: number): void; removed(): void };
}

/** The stream of messages to one other member: opened when made, and again whenever it breaks, until disposed. */
export class PeerStream implements AsyncDisposable {
  readonly peer: Peer;
  readonly #self: Peer;
  readonly #modules: PeerStreamModules;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #waiting: Message[] = [];
  #waitingBytes = 0;
  #more: (() => void) | undefined;
  /** Between a break and the next try: what is sent now would arrive late or never. */
  #down = false;

  constructor(self: Peer, peer: Peer, modules: PeerStreamModules) {
    this.peer = peer;
    this.#self = self;
    this.#modules = modules;
    this.#running = this.#run();
  }

  send(message: Message): void {
    const bytes = messageBytes(message);
    const full =
      this.#waiting.length >= WAITING_MESSAGES_MAX || this.#waitingBytes + bytes > WAITING_BYTES_MAX;
    if (this.#down || full) return this.#modules.events.unreachable(this.peer.raftId);
    this.#waiting.push(message);
    this.#waitingBytes += bytes;
    this.#more?.();
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
      await this.#stream(signal);
      if (signal.aborted) return;
      if (clock.monotonicMs() - openedAtMs > GOOD_STREAM_MS) attempt = 0;
      this.#drop();
      await clock.sleep(backoffMs(RECONNECT, attempt, random), signal).catch(() => undefined);
      this.#down = false;
    }
  }

  /** One stream, from open to broken. */
  async #stream(signal: AbortSignal): Promise<void> {
    const { dialer, log, events } = this.#modules;
    const { raftId, raftAddr } = this.peer;
    const ended = new AbortController();
    try {
      const client = dialer.client('RaftTransport', raftAddr, 'manager');
      await client.messages(this.#batches(AbortSignal.any([signal, ended.signal])), { signal });
    } catch (error) {
      if (signal.aborted) return;
      log.debug('stream to a manager broke', { raftId, raftAddr, err: error });
      if (messageOf(error).includes(REMOVED)) events.removed();
    } finally {
      ended.abort();
    }
  }

  #drop(): void {
    this.#down = true;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#modules.events.unreachable(this.peer.raftId);
  }

  /** Everything that waits goes as one batch, as far as a message holds. */
  async *#batches(signal: AbortSignal): AsyncGenerator<Input<RaftBatch>, void, undefined> {
    yield { sender: this.#self, messages: [] };
    while (!signal.aborted) {
      if (this.#waiting.length === 0) await this.#arrival(signal);
      else yield { messages: this.#take().map(messageToWire) };
    }
  }

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

  #arrival(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#more = undefined;
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#more = done;
      signal.addEventListener('abort', done, { once: true });
    });
  }
}
