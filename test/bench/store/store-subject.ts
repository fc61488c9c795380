import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StartOpts } from '#manager/consensus/opts.ts';
import { type TestNode, testCa } from '#test/support/certificates.ts';
import { freePort } from '../raft/free-port.ts';
import type { Sample, Subject } from '../subject.ts';
import type { Answer, Answered, Asked, Question } from './protocol.ts';

const TASKS = 1_000_000;
const UPDATES_PER_SECOND = 50_000;
/** Beside them the controllers look at everything. */
const UPDATES_PER_SECOND_OF_LEADER = 20_000;
const FLOOD_MS = 5_000;
const LOAD_MS = 15_000;
/** As the daemon is started. */
const FLAGS = [
  '--disable-warning=ExperimentalWarning',
  '--expose-gc',
  '--max-semi-space-size=16',
  '--heap-growing-percent=50',
];
const ENV = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '262144', MALLOC_TRIM_THRESHOLD_: '1048576' };

export interface StoreSubjectOpts {
  readonly tasks: number;
  /** For Node, besides those that the daemon is started with. */
  readonly flags: readonly string[];
}

/** The store of one manager with a million tasks, its consensus and disk, in a process of its own. */
export class StoreSubject implements Subject {
  readonly name = 'Shoal';
  readonly #opts: StoreSubjectOpts;
  #directory = '';
  #port = 0;
  #node: TestNode | undefined;
  #process: ManagerProcess | undefined;

  constructor(opts: Partial<StoreSubjectOpts> = {}) {
    this.#opts = { tasks: TASKS, flags: [], ...opts };
  }

  async start(signal: AbortSignal): Promise<void> {
    this.#directory = await mkdtemp(join(tmpdir(), 'shoal-bench-store-'));
    this.#node = await (await testCa()).node('manager');
    this.#port = await freePort();
    await this.#open({ kind: 'bootstrap' }, signal);
  }

  async stop(): Promise<void> {
    await this.#process?.kill();
    if (this.#directory !== '') await rm(this.#directory, { recursive: true, force: true });
  }

  async measure(slice: string, signal: AbortSignal): Promise<readonly Sample[]> {
    switch (slice) {
      case 'fill':
        await this.#ask({ ask: 'fill', tasks: this.#opts.tasks }, signal);
        return [];
      case 'updates':
        return await this.#updates(signal);
      case 'lead': {
        const { stall } = await this.#ask({ ask: 'lead', perSecond: UPDATES_PER_SECOND_OF_LEADER }, signal);
        return [
          { figure: 'full-pass-stall-max-ms', value: stall.stallMs },
          { figure: 'full-pass-work-max-ms', value: stall.workMs },
        ];
      }
      case 'snapshot': {
        const { stall } = await this.#ask({ ask: 'snapshot' }, signal);
        return [
          { figure: 'snapshot-stall-max-ms', value: stall.stallMs },
          { figure: 'snapshot-work-max-ms', value: stall.workMs },
        ];
      }
      case 'memory': {
        const { rssMib } = await this.#ask({ ask: 'memory' }, signal);
        return [{ figure: 'tasks-1m-rss-mb', value: rssMib }];
      }
      case 'restart':
        return [{ figure: 'restart-1m-ms', value: await this.#restart(signal) }];
      default:
        throw new Error(`no slice ${slice}`);
    }
  }

  async #updates(signal: AbortSignal): Promise<Sample[]> {
    const load = { ask: 'load', perSecond: UPDATES_PER_SECOND, ms: LOAD_MS } as const;
    const { stall } = await this.#ask(load, signal);
    const { perSecond } = await this.#ask({ ask: 'flood', ms: FLOOD_MS }, signal);
    return [
      { figure: 'main-loop-stall-max-ms', value: stall.stallMs },
      { figure: 'main-loop-work-max-ms', value: stall.workMs },
      { figure: 'status-updates-per-s', value: perSecond },
    ];
  }

  /** From the start of the process to the first write that it takes. */
  async #restart(signal: AbortSignal): Promise<number> {
    await this.#process?.kill();
    const startedAtMs = performance.now();
    const { tasks } = await this.#open({ kind: 'restart' }, signal);
    if (tasks < this.#opts.tasks)
      throw new Error(`of ${this.#opts.tasks} tasks, ${tasks} are there after a restart`);
    return performance.now() - startedAtMs;
  }

  async #open(start: StartOpts, signal: AbortSignal): Promise<Answer> {
    const { nodeId, identity } = this.#node as TestNode;
    const addr = `127.0.0.1:${this.#port}`;
    const opts = {
      stateDir: join(this.#directory, 'state'),
      self: { nodeId, raftAddr: addr, controlAddr: addr },
      listen: { host: '127.0.0.1', port: this.#port },
      start,
    };
    this.#process = new ManagerProcess(this.#opts.flags);
    return await this.#ask({ ask: 'open', opts, identity: identity.current() }, signal);
  }

  async #ask(question: Question, signal: AbortSignal): Promise<Answer> {
    return await (this.#process as ManagerProcess).ask(question, signal);
  }
}

class ManagerProcess {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, PromiseWithResolvers<Answer>>();
  #asked = 0;

  constructor(flags: readonly string[]) {
    this.#child = fork(join(import.meta.dirname, 'manager.ts'), {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: [...FLAGS, ...flags],
      env: { ...process.env, ...ENV },
    });
    this.#child.on('message', (answered: Answered) => this.#heard(answered));
    this.#child.on('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the manager ended'));
    });
  }

  async ask(question: Question, signal: AbortSignal): Promise<Answer> {
    const id = ++this.#asked;
    const waiting = Promise.withResolvers<Answer>();
    this.#waiting.set(id, waiting);
    const giveUp = (): void => waiting.reject(signal.reason as Error);
    signal.addEventListener('abort', giveUp, { once: true });
    const asked: Asked = { id, question };
    this.#child.send(asked);
    try {
      return await waiting.promise;
    } finally {
      this.#waiting.delete(id);
      signal.removeEventListener('abort', giveUp);
    }
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }

  #heard(answered: Answered): void {
    const waiting = this.#waiting.get(answered.id);
    if ('failure' in answered) waiting?.reject(new Error(answered.failure));
    else waiting?.resolve(answered.answer);
  }
}
