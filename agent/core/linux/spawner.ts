import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';

export interface SpawnerOpts {
  /** Shells kept; each works on one foreground job at a time. */
  readonly workers: number;
  readonly timeoutMs: number;
  /** Bound of jobs that wait for a shell. */
  readonly waitingMax: number;
}

interface Worker {
  readonly shell: ChildProcess;
  /** Who waits for the next line of JSON. */
  answer: { resolve(line: string): void; reject(error: Error): void } | undefined;
  readonly background: Map<string, (code: number) => void>;
}

/**
 * Starts programs by shells that were started early. A fork costs time in proportion to the memory of who forks,
 * and stops Node's loop meanwhile; a shell stays small.
 */
export class Spawner {
  readonly #opts: SpawnerOpts;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #workers: Worker[] = [];
  readonly #idle: Worker[] = [];
  readonly #waiting: ((worker: Worker) => void)[] = [];
  #tags = 0;
  #stopped = false;

  constructor(opts: SpawnerOpts, modules: { clock: Clock; log: Log }) {
    this.#opts = opts;
    this.#clock = modules.clock;
    this.#log = modules.log;
    for (let count = 0; count < opts.workers; count += 1) this.#addWorker();
  }

  /**
   * Runs a shell line and resolves with the line of JSON that it, or what it leaves running, writes to its standard
   * output. Standard output stays open in what it leaves running.
   */
  async line(script: string): Promise<string> {
    const worker = await this.#takeWorker();
    try {
      return await this.#answerOf(worker, script);
    } finally {
      this.#giveBack(worker);
    }
  }

  /** Runs a shell line in the background and resolves with its exit code; its standard output must go elsewhere. */
  code(script: string): Promise<number> {
    const worker = this.#idle.at(-1) ?? this.#workers[this.#tags % this.#workers.length];
    if (worker === undefined) return Promise.reject(stopping());
    this.#tags += 1;
    const tag = String(this.#tags);
    return new Promise((resolve) => {
      worker.background.set(tag, resolve);
      // `jobs` makes the shell collect the children that have ended.
      worker.shell.stdin?.write(`jobs >/dev/null; (${script}; echo ${tag} $?) &\n`);
    });
  }

  [Symbol.dispose](): void {
    this.#stopped = true;
    for (const worker of this.#workers) worker.shell.stdin?.end();
  }

  #takeWorker(): Promise<Worker> {
    if (this.#stopped) return Promise.reject(stopping());
    const idle = this.#idle.pop();
    if (idle) return Promise.resolve(idle);
    if (this.#waiting.length >= this.#opts.waitingMax)
      return Promise.reject(
        new ShoalError('RESOURCE_EXHAUSTED', 'too many containers are being started at once'),
      );
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #giveBack(worker: Worker): void {
    if (!this.#workers.includes(worker)) return;
    const next = this.#waiting.shift();
    if (next) next(worker);
    else this.#idle.push(worker);
  }

  #answerOf(worker: Worker, script: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.timer(this.#opts.timeoutMs, () => {
        reject(new ShoalError('DEADLINE_EXCEEDED', `no answer within ${this.#opts.timeoutMs} ms: ${script}`));
        worker.shell.kill('SIGKILL');
      });
      worker.answer = {
        resolve: (line) => {
          cancel();
          resolve(line);
        },
        reject: (error) => {
          cancel();
          reject(error);
        },
      };
      worker.shell.stdin?.write(`${script}\n`);
    });
  }

  #addWorker(): void {
    const shell = spawn('dash', [], {
      stdio: ['pipe', 'pipe', 'ignore'],
      // A group of its own: a signal from the terminal is for the daemon alone.
      detached: true,
      cwd: '/',
      env: { PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin', TZ: 'UTC', _OCI_SYNCPIPE: '3' },
    });
    const worker: Worker = { shell, answer: undefined, background: new Map() };
    this.#workers.push(worker);
    shell.stdin.on('error', () => undefined);
    shell.once('error', (error) => this.#lost(worker, error));
    shell.once('exit', () => this.#lost(worker, new Error('a shell that starts programs has ended')));
    createInterface({ input: shell.stdout }).on('line', (line) => hear(worker, line));
    this.#giveBack(worker);
  }

  #lost(worker: Worker, reason: Error): void {
    const index = this.#workers.indexOf(worker);
    if (index < 0) return;
    this.#workers.splice(index, 1);
    const idle = this.#idle.indexOf(worker);
    if (idle >= 0) this.#idle.splice(idle, 1);
    worker.answer?.reject(reason);
    for (const resolve of worker.background.values()) resolve(KILLED);
    if (this.#stopped) return;
    this.#log.warn('a shell that starts programs has ended', { err: reason });
    if ((reason as NodeJS.ErrnoException).code !== 'ENOENT') this.#addWorker();
  }
}

/** What is said of a job whose end nobody saw. */
const KILLED = 137;

function hear(worker: Worker, line: string): void {
  if (line.startsWith('{')) {
    const answer = worker.answer;
    worker.answer = undefined;
    answer?.resolve(line);
    return;
  }
  const [tag = '', code = ''] = line.split(' ');
  worker.background.get(tag)?.(Number(code));
  worker.background.delete(tag);
}

function stopping(): ShoalError {
  return new ShoalError('UNAVAILABLE', 'the engine is stopping');
}

/** A word of a shell line. */
export function quoted(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
