import { messageOf, ShoalError } from '#proto/base/errors.ts';
import { type Reply, stream } from '#proto/http/types.ts';
import type { Progress } from '../core/image/progress.ts';

/** Lines that wait for the client; who writes more waits with them. */
const WAITING_MAX = 256;
/** A bar moves at each per cent, at most every so many bytes. */
const BAR_BYTES = 512 * 1024;

/**
 * The stream of JSON messages that pulls, pushes and builds answer with. Bars that nobody has seen yet give way to newer
 * ones; everything else waits for its turn.
 */
export class MessageStream {
  readonly #waiting: { readonly key: string | undefined; readonly message: object }[] = [];
  readonly #bars = new Map<string, number>();
  #wake: () => void = () => undefined;
  #room = Promise.withResolvers<void>();
  #ended = false;
  /** Something has been written. */
  isOpen = false;
  onFirst: () => void = () => undefined;

  /** Resolves when the client keeps up. */
  async write(message: object): Promise<void> {
    this.#put(undefined, message);
    if (this.#waiting.length > WAITING_MAX) await this.#room.promise;
  }

  /** Never waits: there are no more lines than there are layers. */
  readonly progress = (progress: Progress): void => {
    const { id = '', status, current } = progress;
    if (current === undefined) return this.#put(undefined, messageOfProgress(progress));
    if (!this.#hasMoved(`${id} ${status}`, current, progress.total ?? 0)) return;
    this.#put(`${id} ${status}`, messageOfProgress(progress));
  };

  #hasMoved(key: string, current: number, total: number): boolean {
    const told = this.#bars.get(key);
    const step = total > 0 ? Math.min(BAR_BYTES, total / 100) : BAR_BYTES;
    if (told !== undefined && current !== total && current - told < step) return false;
    this.#bars.set(key, current);
    return true;
  }

  #put(key: string | undefined, message: object): void {
    if (this.#ended) return;
    const at = key === undefined ? -1 : this.#waiting.findIndex((item) => item.key === key);
    if (at >= 0) this.#waiting[at] = { key, message };
    else this.#waiting.push({ key, message });
    if (!this.isOpen) {
      this.isOpen = true;
      this.onFirst();
    }
    this.#wake();
  }

  /** Nothing follows; who still writes is not kept waiting. */
  end(): void {
    this.#ended = true;
    this.#room.resolve();
    this.#wake();
  }

  /** The lines, as they come. */
  async *lines(): AsyncGenerator<string> {
    for (;;) {
      const item = this.#waiting.shift();
      if (item) {
        yield `${JSON.stringify(item.message)}\r\n`;
        continue;
      }
      if (this.#ended) return;
      this.#room.resolve();
      this.#room = Promise.withResolvers();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** A failure as the last line of a stream. */
export function errorMessage(error: unknown): object {
  const message = messageOf(error);
  const exitCode = (error as { exitCode?: unknown }).exitCode;
  const code = typeof exitCode === 'number' ? { code: exitCode } : {};
  return { errorDetail: { ...code, message }, error: message };
}

/**
 * Answers with the messages of some work. It fails as a request when it fails before it has said anything, else with
 * its last line. A client that leaves ends the work: the signal tells it.
 */
export async function streamed(
  clientGone: AbortSignal,
  work: (out: MessageStream, signal: AbortSignal) => Promise<void>,
): Promise<Reply> {
  const out = new MessageStream();
  const leaving = new AbortController();
  const signal = AbortSignal.any([clientGone, leaving.signal]);
  const opened = Promise.withResolvers<void>();
  out.onFirst = () => opened.resolve();
  // Nobody reads on, so nobody who writes is to wait for that.
  clientGone.addEventListener('abort', () => out.end(), { once: true });
  const done = work(out, signal).then(
    () => {
      out.end();
      opened.resolve();
    },
    async (error: unknown) => {
      if (!out.isOpen) opened.reject(error);
      else await out.write(errorMessage(error));
      out.end();
    },
  );
  await opened.promise;
  return stream('application/json', linesUntilDone(out, done, leaving));
}

async function* linesUntilDone(
  out: MessageStream,
  done: Promise<void>,
  leaving: AbortController,
): AsyncGenerator<string> {
  try {
    yield* out.lines();
  } finally {
    leaving.abort(new ShoalError('CANCELLED', 'the client has gone away'));
    out.end();
    await done;
  }
}

function messageOfProgress({ id, status, current, total = 0, aux }: Progress): object {
  if (aux !== undefined) return { progressDetail: {}, aux };
  if (current !== undefined) {
    const progress = `${bar(current, total)}${size(current).padStart(8)}${total > 0 ? `/${size(total)}` : ''}`;
    return { status, progressDetail: { current, ...(total > 0 && { total }) }, progress, id };
  }
  if (id === undefined) return { status };
  return status.startsWith('Pulling from ') ? { status, id } : { status, progressDetail: {}, id };
}

const BAR_CHARS = 50;

function bar(current: number, total: number): string {
  if (total <= 0) return '';
  const filled = Math.floor((Math.min(current / total, 1) * 100) / 2);
  return `[${'='.repeat(filled)}>${' '.repeat(BAR_CHARS - filled)}] `;
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** Four digits and a unit, as Docker writes sizes. */
function size(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${Number(value.toPrecision(4))}${UNITS[unit]}`;
}
