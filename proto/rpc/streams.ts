import type { Readable, Writable } from 'node:stream';
import { messageOf, ShoalError } from '../base/errors.ts';

/** Why a call was cut short, as a ShoalError. */
export function abortReason(signal: AbortSignal): ShoalError {
  const { reason } = signal;
  if (reason instanceof ShoalError) return reason;
  return new ShoalError('CANCELLED', `the call was cancelled: ${messageOf(reason)}`, { cause: reason });
}

/** Settles as `promise` does, or rejects when the signal aborts first; listens no longer than it waits. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abortReason(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    // Also when it is too late already: a promise that fails with nobody listening would end the process.
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
    if (signal.aborted) onAbort();
  });
}

/**
 * Sends every message of `messages`, never more than the other end takes, until they end or the signal aborts. The
 * source is then told to return; one that waits for something else must watch the signal itself.
 */
export async function sendAll<T>(
  messages: AsyncIterable<T>,
  stream: Writable,
  encode: (message: T) => Buffer,
  signal: AbortSignal,
): Promise<void> {
  const source = messages[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await untilAborted(source.next(), signal);
      if (next.done) return;
      if (!stream.write(encode(next.value))) await untilAborted(drained(stream), signal);
    }
  } catch (error) {
    void source.return?.().catch(() => undefined);
    throw error;
  }
}

function drained(stream: Writable): Promise<void> {
  return new Promise((resolve) => stream.once('drain', resolve));
}

/**
 * The messages of a stream as they arrive, read no faster than they are taken. Ends when the other end has sent all;
 * throws when the signal aborts. The stream itself is left alone: its other direction may still be in use.
 */
export async function* received<T>(
  stream: Readable,
  decode: (bytes: Buffer) => T,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  const messages = stream.iterator({ destroyOnReturn: false });
  for (;;) {
    const next = await untilAborted(messages.next() as Promise<IteratorResult<Buffer>>, signal);
    if (next.done) return;
    yield decode(next.value);
  }
}
