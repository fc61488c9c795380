import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
  readonly code?: string;
  readonly tookMs?: number;
}

/** A helper process in a network namespace, which does what it is told. */
export class Remote {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve(answer: Answer): void; reject(error: Error): void }>();
  readonly #ended: Promise<void>;
  #serial = 0;
  /** Of the last call, in the process itself. */
  lastMs = 0;

  /** `script`: a file of this folder. */
  constructor(netns: string, script: 'probe.ts' | 'driver.ts') {
    const file = join(import.meta.dirname, script);
    this.#child = spawn('nsenter', [`--net=${netns}`, process.execPath, file], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
    });
    this.#child.on('message', (answer: Answer) => this.#settle(answer));
    this.#ended = new Promise((resolve) => {
      this.#child.once('exit', () => {
        for (const { reject } of this.#waiting.values()) reject(new Error(`${script} in ${netns} ended`));
        this.#waiting.clear();
        resolve();
      });
    });
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  async call<T>(verb: string, ...args: readonly unknown[]): Promise<T> {
    const id = ++this.#serial;
    const answer = await new Promise<Answer>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.send({ id, verb, args });
    });
    this.lastMs = answer.tookMs ?? 0;
    if (answer.error !== undefined) throw Object.assign(new Error(answer.error), { code: answer.code });
    return answer.value as T;
  }

  /** Ends it, at once with SIGKILL. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.#child.kill(signal);
    await this.#ended;
  }

  #settle(answer: Answer): void {
    this.#waiting.get(answer.id)?.resolve(answer);
    this.#waiting.delete(answer.id);
  }
}
