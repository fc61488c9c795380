import { ShoalError } from '#proto/base/errors.ts';
import type { ContainerState, HealthState } from './container-types.ts';
import type { ContainerExit, ContainerSummary, WaitCondition } from './engine.ts';
import type { ContainerIo } from './io.ts';
import { Mutex } from './mutex.ts';
import type { ContainerRun, ContainerSpec } from './record.ts';

interface Waiter {
  readonly condition: WaitCondition;
  readonly resolve: (exit: ContainerExit) => void;
}

/** Where a container is remembered; see state.ts for what that means. */
export interface ContainerMemory {
  /** `spec` is absent where it has not changed. */
  write(spec: ContainerSpec | undefined, run: ContainerRun): void;
  committed(): Promise<void>;
  commit(): void;
}

/** One container in the memory of the engine: what it is, how it is, and who waits for it. */
export class Container {
  /** Starting, stopping, removing …: one at a time. */
  readonly lock = new Mutex();
  readonly io: ContainerIo;
  readonly execs = new Set<string>();
  #spec: ContainerSpec;
  #run: ContainerRun;
  /** Stops the watching of its health; there while it runs and has a check. */
  stopHealth: (() => void) | undefined;
  /** There while it runs and has a limit of memory. */
  stopOomWatch: Disposable | undefined;
  /** Calls off its next start by the restart policy. */
  cancelRestart: (() => void) | undefined;
  lastRestartDelayMs = 0;
  readonly #waiters = new Set<Waiter>();
  readonly #changed = new Set<() => void>();
  readonly #memory: ContainerMemory;

  constructor(
    record: { spec: ContainerSpec; run: ContainerRun },
    modules: { io: ContainerIo; memory: ContainerMemory },
  ) {
    this.#spec = record.spec;
    this.#run = record.run;
    this.io = modules.io;
    this.#memory = modules.memory;
  }

  get id(): string {
    return this.#spec.id;
  }

  get name(): string {
    return this.#spec.name;
  }

  get spec(): ContainerSpec {
    return this.#spec;
  }

  get run(): ContainerRun {
    return this.#run;
  }

  /** Also while it waits for its next start: Docker calls that running. */
  get isRunning(): boolean {
    return ['running', 'paused', 'restarting'].includes(this.#run.status);
  }

  /** A process of its own exists. */
  get hasProcess(): boolean {
    return this.#run.status === 'running' || this.#run.status === 'paused';
  }

  /** Changes what it is; on disk when this returns. */
  updateSpec(change: Partial<ContainerSpec>): void {
    this.#spec = { ...this.#spec, ...change };
    this.#memory.write(this.#spec, this.#run);
    this.#memory.commit();
  }

  /** Changes how it is; on disk when this returns. */
  updateRun(change: Partial<ContainerRun>): void {
    this.replaceRun({ ...this.#run, ...change });
  }

  replaceRun(run: ContainerRun): void {
    this.#memory.write(undefined, run);
    this.#memory.commit();
    this.noteRun(run);
  }

  /** As `replaceRun`, but on disk only when it resolves; the next daemon finds it from the call on. */
  writeRun(run: ContainerRun): Promise<void> {
    this.#memory.write(undefined, run);
    this.noteRun(run);
    return this.#memory.committed();
  }

  /** As `replaceRun`, in memory alone: for what a crash may undo. */
  noteRun(run: ContainerRun): void {
    this.#run = run;
    for (const listener of [...this.#changed]) listener();
  }

  /** Waits for something about its state to become true; rejects when the signal aborts. */
  until(reached: () => boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (settle: () => void): void => {
        this.#changed.delete(look);
        signal.removeEventListener('abort', onAbort);
        settle();
      };
      const onAbort = (): void => done(() => reject(signal.reason));
      const look = (): void => {
        if (reached()) done(resolve);
      };
      if (signal.aborted) return reject(signal.reason);
      this.#changed.add(look);
      signal.addEventListener('abort', onAbort);
      look();
    });
  }

  /** Resolves with its exit code when the condition comes true; see WaitCondition. */
  wait(condition: WaitCondition, signal?: AbortSignal): Promise<ContainerExit> {
    if (condition === 'not-running' && !this.isRunning) return Promise.resolve(this.exit());
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiters.delete(waiter);
        reject(signal?.reason);
      };
      const waiter: Waiter = {
        condition,
        resolve: (exit) => {
          signal?.removeEventListener('abort', onAbort);
          resolve(exit);
        },
      };
      if (signal?.aborted) return reject(signal.reason);
      signal?.addEventListener('abort', onAbort);
      this.#waiters.add(waiter);
    });
  }

  /** Tells those who wait that its process has ended. */
  notifyExit(): void {
    this.#notify(({ condition }) => condition !== 'removed');
  }

  /** Tells everybody: there will be nothing to wait for any more. */
  notifyRemoved(): void {
    this.#notify(() => true);
    for (const listener of [...this.#changed]) listener();
  }

  #notify(chosen: (waiter: Waiter) => boolean): void {
    const exit = this.exit();
    for (const waiter of this.#waiters) {
      if (!chosen(waiter)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(exit);
    }
  }

  exit(): ContainerExit {
    const { exitCode, error, oomKilled } = this.#run;
    return { exitCode, oomKilled, ...(error === '' ? {} : { error }) };
  }

  state(): ContainerState {
    const run = this.#run;
    return {
      Status: run.status,
      Running: this.isRunning,
      Paused: run.status === 'paused',
      Restarting: run.status === 'restarting',
      OOMKilled: run.oomKilled,
      Dead: run.status === 'dead',
      Pid: this.hasProcess ? (run.init?.pid ?? 0) : 0,
      ExitCode: run.exitCode,
      Error: run.error,
      StartedAt: run.startedAt,
      FinishedAt: run.finishedAt,
      ...(run.health ? { Health: this.#shownHealth(run.health) } : {}),
    };
  }

  /** Nobody looks after what does not run: Docker calls that unhealthy. */
  #shownHealth(health: HealthState): HealthState {
    return this.hasProcess ? health : { ...health, Status: 'unhealthy' };
  }

  summary(): ContainerSummary {
    const { sandbox } = this.#run;
    return {
      id: this.id,
      name: this.name,
      labels: this.#spec.config.Labels ?? {},
      state: this.state(),
      ...(sandbox?.meshAddr === undefined ? {} : { meshAddr: sandbox.meshAddr }),
      ports: sandbox?.ports ?? [],
    };
  }

  /** CONFLICT `container … is not running`. */
  mustRun(): void {
    if (!this.isRunning) throw new ShoalError('CONFLICT', `container ${this.id} is not running`);
  }
}
