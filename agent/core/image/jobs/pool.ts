import { Worker } from 'node:worker_threads';
import type { Clock } from '#proto/base/clock.ts';
import { FAILURES, type FailureCode, ShoalError } from '#proto/base/errors.ts';
import type { JobKind, JobMessage, JobRequest, Jobs } from './jobs.ts';

export interface WorkPoolOpts {
  /** Threads at most. Inflating and hashing run beside them, so few keep a machine busy. */
  readonly threadsMax?: number;
  /** A thread with nothing to do ends after this long: an idle node holds no memory for it. */
  readonly idleMs?: number;
}

export interface WorkPoolModules {
  readonly clock: Clock;
}

/** Jobs that wait for a thread; more are refused. A pull of many images has a few dozen. */
const WAITING_MAX = 1000;

interface Task {
  readonly request: JobRequest;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly onProgress: ((bytes: number) => void) | undefined;
}

interface Thread {
  readonly worker: Worker;
  task: Task | undefined;
  cancelIdle: (() => void) | undefined;
}

export interface RunOpts {
  readonly signal?: AbortSignal | undefined;
  /** Told now and then how many bytes of the input have been read. */
  readonly onProgress?: (bytes: number) => void;
}

/** Runs jobs on worker threads, so that the daemon's own loop stays free. */
export class WorkPool implements AsyncDisposable {
  readonly #opts: Required<WorkPoolOpts>;
  readonly #modules: WorkPoolModules;
  readonly #threads = new Set<Thread>();
  readonly #waiting: Task[] = [];
  #stopped = false;

  constructor(opts: WorkPoolOpts, modules: WorkPoolModules) {
    this.#opts = { threadsMax: opts.threadsMax ?? 2, idleMs: opts.idleMs ?? 10_000 };
    this.#modules = modules;
  }

  /** Does a job. Rejects with the signal's reason when that aborts; the job has then stopped writing. */
  async run<K extends JobKind>(
    kind: K,
    args: Jobs[K]['args'],
    opts: RunOpts = {},
  ): Promise<Jobs[K]['result']> {
    opts.signal?.throwIfAborted();
    if (this.#stopped) throw new ShoalError('UNAVAILABLE', 'the image store is closed');
    if (this.#waiting.length >= WAITING_MAX) {
      throw new ShoalError(
        'RESOURCE_EXHAUSTED',
        `more than ${WAITING_MAX} jobs wait for the image store: try again later`,
      );
    }
    const cancelled = new SharedArrayBuffer(4);
    const cancel = (): void => void Atomics.store(new Int32Array(cancelled), 0, 1);
    opts.signal?.addEventListener('abort', cancel, { once: true });
    try {
      return (await new Promise<unknown>((resolve, reject) => {
        this.#waiting.push({
          request: { kind, args, cancelled },
          resolve,
          reject,
          onProgress: opts.onProgress,
        });
        this.#next();
      })) as Jobs[K]['result'];
    } catch (error) {
      opts.signal?.throwIfAborted();
      throw error;
    } finally {
      opts.signal?.removeEventListener('abort', cancel);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    const closed = new ShoalError('UNAVAILABLE', 'the image store is closed');
    for (const task of this.#waiting.splice(0)) task.reject(closed);
    await Promise.all([...this.#threads].map((thread) => this.#end(thread, closed)));
  }

  #next(): void {
    const idle = [...this.#threads].find((thread) => thread.task === undefined);
    if (this.#waiting.length === 0 || (!idle && this.#threads.size >= this.#opts.threadsMax)) return;
    const thread = idle ?? this.#start();
    const task = this.#waiting.shift() as Task;
    thread.cancelIdle?.();
    thread.task = task;
    thread.worker.ref();
    thread.worker.postMessage(task.request);
  }

  #start(): Thread {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { name: 'shoal-image' });
    const thread: Thread = { worker, task: undefined, cancelIdle: undefined };
    worker.on('message', (message: JobMessage) => this.#take(thread, message));
    worker.on('error', (error) => void this.#end(thread, error as Error));
    worker.on('exit', () => void this.#end(thread, new Error('a worker thread ended unexpectedly')));
    this.#threads.add(thread);
    return thread;
  }

  #take(thread: Thread, message: JobMessage): void {
    const task = thread.task;
    if (task === undefined) return;
    if (message.type === 'progress') {
      task.onProgress?.(message.bytes);
      return;
    }
    thread.task = undefined;
    if (message.type === 'done') task.resolve(message.result);
    else task.reject(errorOf(message));
    this.#rest(thread);
    this.#next();
  }

  #rest(thread: Thread): void {
    thread.worker.unref();
    thread.cancelIdle = this.#modules.clock.timer(this.#opts.idleMs, () => {
      if (thread.task === undefined) void this.#end(thread, new Error('idle'));
    });
  }

  async #end(thread: Thread, reason: Error): Promise<void> {
    if (!this.#threads.delete(thread)) return;
    thread.cancelIdle?.();
    thread.task?.reject(reason);
    thread.task = undefined;
    await thread.worker.terminate();
    if (!this.#stopped) this.#next();
  }
}

function errorOf(message: { message: string; code?: string; stack?: string }): Error {
  const isOurs = message.code !== undefined && message.code in FAILURES;
  const error = isOurs
    ? new ShoalError(message.code as FailureCode, message.message)
    : Object.assign(new Error(message.message), { code: message.code });
  if (message.stack !== undefined) error.stack = message.stack;
  return error;
}
