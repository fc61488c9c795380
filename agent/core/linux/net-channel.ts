import type { ChildProcess } from 'node:child_process';
import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { STDERR_BYTES_MAX, spawnIn } from './net-program.ts';

export type NetTool = 'ip' | 'bridge' | 'nft';
/** What went wrong with each command, in their order; undefined where nothing did. */
export type NetErrors = readonly (string | undefined)[];

export interface NetChannelOpts {
  /** A program that does not answer for so long is ended, and started anew for the next request. */
  readonly answerMsMax: number;
  readonly idleMs: number;
  /** Requests waiting for one program; more are refused. */
  readonly waitingMax: number;
}

interface Request {
  readonly commands: readonly string[];
  readonly resolve: (errors: NetErrors) => void;
  readonly reject: (reason: Error) => void;
}

/** One kept program in one namespace; it ends when it has nothing to do for long. */
export class NetChannel {
  readonly #name: string;
  readonly #dialect: Dialect;
  readonly #child: ChildProcess;
  readonly #opts: NetChannelOpts;
  readonly #clock: Pick<Clock, 'timer'>;
  readonly #onEnd: () => void;
  #waiting: Request[] = [];
  #current: Request | undefined;
  #said = '';
  #ended = false;
  #cancelTimer: () => void = () => undefined;

  constructor(
    opts: NetChannelOpts,
    modules: { clock: Pick<Clock, 'timer'>; netns: string | undefined; tool: NetTool; onEnd: () => void },
  ) {
    const { netns, tool } = modules;
    this.#opts = opts;
    this.#clock = modules.clock;
    this.#onEnd = modules.onEnd;
    this.#name = `${tool} in ${netns ?? 'the own namespace'}`;
    this.#dialect = tool === 'nft' ? new NftDialect() : new BatchDialect();
    const args = tool === 'nft' ? ['-i'] : ['-force', '-batch', '-'];
    this.#child = spawnIn(netns, tool, args, ['pipe', 'ignore', 'pipe']);
    this.#child.stdin?.on('error', () => undefined);
    this.#child.stderr?.on('data', (chunk: Buffer) => this.#hear(chunk.toString()));
    this.#child.once('error', (error) => this.#end(error.message));
    this.#child.once('close', () => this.#end(this.#said.trim() || 'it ended'));
    this.#rest();
  }

  get idle(): boolean {
    return this.#current === undefined && this.#waiting.length === 0;
  }

  run(commands: readonly string[]): Promise<NetErrors> {
    if (this.#waiting.length >= this.#opts.waitingMax)
      throw new ShoalError(
        'RESOURCE_EXHAUSTED',
        `${this.#name}: ${this.#waiting.length} requests wait already`,
      );
    return new Promise((resolve, reject) => {
      this.#waiting.push({ commands, resolve, reject });
      if (this.#current === undefined) this.#next();
    });
  }

  /** Lets the program end by itself; what it was told it still does. */
  async close(): Promise<void> {
    if (this.#ended) return;
    const closed = new Promise<void>((resolve) => this.#child.once('close', () => resolve()));
    const cancel = this.#clock.timer(this.#opts.answerMsMax, () => this.#child.kill('SIGKILL'));
    this.#child.stdin?.end();
    await closed;
    cancel();
  }

  #next(): void {
    this.#cancelTimer();
    this.#current = this.#waiting.shift();
    if (this.#current === undefined) return this.#rest();
    this.#said = '';
    this.#child.stdin?.write(this.#dialect.ask(this.#current.commands));
    this.#cancelTimer = this.#clock.timer(this.#opts.answerMsMax, () => {
      this.#said += `no answer in ${this.#opts.answerMsMax} ms`;
      this.#child.kill('SIGKILL');
    });
  }

  #rest(): void {
    this.#cancelTimer = this.#clock.timer(this.#opts.idleMs, () => {
      this.#onEnd();
      this.#child.stdin?.end();
    });
  }

  #hear(text: string): void {
    this.#said += text;
    const errors = this.#dialect.answer(this.#said);
    if (errors !== undefined && this.#current !== undefined) {
      const { resolve } = this.#current;
      this.#current = undefined;
      resolve(errors);
      this.#next();
    } else if (this.#said.length > STDERR_BYTES_MAX) this.#child.kill('SIGKILL');
  }

  #end(why: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelTimer();
    this.#onEnd();
    const error = new ShoalError('UNAVAILABLE', `${this.#name}: ${why}`);
    for (const request of [this.#current, ...this.#waiting]) request?.reject(error);
    this.#current = undefined;
    this.#waiting = [];
  }
}

/** How a program is asked, and how its answer is told from silence. */
interface Dialect {
  ask(commands: readonly string[]): string;
  /** Errors of each command once the answer is whole. */
  answer(said: string): NetErrors | undefined;
}

/** `ip` and `bridge`: a failed command ends with its line number, counted since the start. */
class BatchDialect implements Dialect {
  #line = 0;
  #first = 0;

  ask(commands: readonly string[]): string {
    this.#first = this.#line + 1;
    this.#line += commands.length + 1;
    return `${commands.join('\n')}${commands.length > 0 ? '\n' : ''}link show dev ack${this.#line}\n`;
  }

  answer(said: string): NetErrors | undefined {
    if (!said.endsWith(`Command failed -:${this.#line}\n`)) return undefined;
    return batchErrors(said, this.#first, this.#line - this.#first);
  }
}

/** Errors of `count` commands, the first of which was line `first`. */
export function batchErrors(said: string, first: number, count: number): NetErrors {
  const errors = new Array<string | undefined>(count).fill(undefined);
  for (const [, text, line] of said.matchAll(/([\s\S]*?)Command failed -:(\d+)\n/g)) {
    const at = Number(line) - first;
    if (at >= 0 && at < count) errors[at] = (text ?? '').trim() || 'failed';
  }
  return errors;
}

/** `nft`: a word it doesn't know comes back with the complaint about it. */
class NftDialect implements Dialect {
  #serial = 0;
  #last = 0;
  #count = 0;

  ask(commands: readonly string[]): string {
    this.#count = commands.length;
    const lines = commands.map((command) => `${command}\nack${++this.#serial}\n`);
    this.#last = this.#serial;
    return lines.join('');
  }

  answer(said: string): NetErrors | undefined {
    if (!said.includes(`\nack${this.#last}\n`)) return undefined;
    const answers = [...said.matchAll(/([\s\S]*?)Error: [^\n]*\nack(\d+)\n[ ^~]*\n/g)];
    if (answers.at(-1)?.[2] !== String(this.#last)) return undefined;
    const errors = new Array<string | undefined>(this.#count).fill(undefined);
    for (const [, text, serial] of answers) {
      const at = Number(serial) - this.#last + this.#count - 1;
      errors[at] = (text ?? '').trim() || undefined;
    }
    return errors;
  }
}
