import { ShoalError } from '#proto/base/errors.ts';
import type { RaftFrame } from '#proto/gen/shoal.ts';
import type { Input } from '#proto/rpc/codec.ts';
import type { Line, LineDialer } from '#proto/rpc/line.ts';
import { decodeFrame, encodeFrame, failureIn } from './wire.ts';

/** Beyond this the sender waits until the line is drained. */
const UNSENT_BYTES_MAX = 1024 * 1024;

/** The sender's end of a line that carries one snapshot. */
export class SnapshotLine implements Disposable {
  readonly #ended = Promise.withResolvers<never>();
  #line: Line | undefined;
  #drained: PromiseWithResolvers<void> | undefined;
  #answer: PromiseWithResolvers<number> | undefined;

  static async open(lines: LineDialer, addr: string, signal: AbortSignal): Promise<SnapshotLine> {
    const opened = new SnapshotLine();
    const events = {
      frame: (content: Uint8Array) => opened.#received(decodeFrame(content)),
      drained: () => opened.#drained?.resolve(),
      ended: (error = new ShoalError('UNAVAILABLE', 'the line broke')) => opened.#ended.reject(error),
    };
    opened.#line = await lines.dial(addr, 'manager', events, signal);
    return opened;
  }

  private constructor() {
    this.#ended.promise.catch(() => undefined);
  }

  /** Sends a frame that is answered with how much the receiver has. Rejects with what it refuses, or when the line breaks. */
  async ask(frame: Input<RaftFrame>): Promise<number> {
    this.#answer = Promise.withResolvers<number>();
    await this.send(frame);
    return Promise.race([this.#answer.promise, this.#ended.promise]);
  }

  /** Resolves when there is room for more. */
  async send(frame: Input<RaftFrame>): Promise<void> {
    this.#line?.send(encodeFrame(frame));
    while ((this.#line?.unsentBytes ?? 0) > UNSENT_BYTES_MAX) {
      this.#drained = Promise.withResolvers<void>();
      await Promise.race([this.#drained.promise, this.#ended.promise]);
    }
  }

  [Symbol.dispose](): void {
    this.#line?.end();
  }

  #received(frame: RaftFrame): void {
    const failure = failureIn(frame);
    if (failure !== undefined) throw failure;
    this.#answer?.resolve(frame.ack?.nextOffset ?? 0);
  }
}
