import type { Clock } from '#proto/base/clock.ts';
import { messageOf } from '#proto/base/errors.ts';
import { LIMITS } from '#proto/base/limits.ts';
import type { Log } from '#proto/base/log.ts';
import type { AssignedTask } from '#proto/types/assignments.ts';
import type { TaskStatus } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';
import { type TaskController, TemporaryError } from '../exec/executor.ts';
import { exitError, failedWith, movedTo } from '../task/status.ts';
import { nextStep, type Step, type TaskAction } from '../task/step.ts';

const TEMPORARY_RETRY_MS = 1_000;
/** Then the task has failed: its service hears of it, and an update that can't succeed is not waited for without end. */
const TEMPORARY_TRIES_MAX = 10;

export interface TaskManagerModules {
  readonly clock: Clock;
  readonly log: Log;
  readonly controller: TaskController;
  /** Remembers and reports a new status; on disk when it returns. */
  readonly saved: (status: TaskStatus) => void;
}

/**
 * Drives one task: asks what comes next, does it, tells, asks again. Holds no opinion of its own about tasks; a change
 * of the assignment interrupts what it is doing only if that is no longer the next thing to do.
 */
export class TaskManager implements AsyncDisposable {
  readonly #modules: TaskManagerModules;
  readonly #closing = new AbortController();
  #task: AssignedTask;
  #status: TaskStatus;
  #leavingSinceMs: number | undefined;
  /** Temporary failures since something succeeded. */
  #failedTries = 0;
  #changed = Promise.withResolvers<void>();
  #finished: Promise<void> = Promise.resolve();

  constructor(task: AssignedTask, status: TaskStatus, modules: TaskManagerModules) {
    this.#modules = modules;
    this.#task = task;
    this.#status = status;
    this.#noteLeaving();
  }

  start(): void {
    this.#finished = this.#run();
  }

  get status(): TaskStatus {
    return this.#status;
  }

  /** The manager's newer word about this task. */
  update(task: AssignedTask): void {
    this.#task = task;
    this.#noteLeaving();
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Stops driving; what runs goes on running. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error('the agent is stopping'));
    await this.#finished;
  }

  /** Stops driving, stops what runs, and removes it. */
  async remove(signal: AbortSignal): Promise<void> {
    await this[Symbol.asyncDispose]();
    await this.#modules.controller.shutdown(signal);
    await this.#modules.controller.remove(signal);
  }

  #noteLeaving(): void {
    if (this.#task.desired >= TaskState.Shutdown) this.#leavingSinceMs ??= this.#modules.clock.wallMs();
  }

  #next(): Step {
    return nextStep({
      observed: this.#status.state,
      task: this.#task,
      ...(this.#leavingSinceMs === undefined ? {} : { leavingSinceMs: this.#leavingSinceMs }),
      releaseWaitMs: LIMITS.releaseWaitMsMax,
      nowMs: this.#modules.clock.wallMs(),
    });
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const step = this.#next();
      if (step.kind === 'mark') this.#move(movedTo(this.#status, step.to, this.#modules.clock.wallMs()));
      else if (step.kind === 'rest') await this.#rest(step.untilMs);
      else await this.#perform(step.action, step.to);
    }
  }

  async #rest(untilMs: number | undefined): Promise<void> {
    const woken = new AbortController();
    const closed = onceAborted(this.#closing.signal, woken.signal);
    const waits: Promise<void>[] = [this.#changed.promise, closed];
    if (untilMs !== undefined) {
      const leftMs = Math.max(0, untilMs - this.#modules.clock.wallMs());
      waits.push(this.#modules.clock.sleep(leftMs, woken.signal).catch(() => undefined));
    }
    await Promise.race(waits);
    woken.abort();
  }

  async #perform(action: TaskAction, to: TaskState): Promise<void> {
    const overtaken = new AbortController();
    const signal = AbortSignal.any([this.#closing.signal, overtaken.signal]);
    const watching = this.#watchOvertaken(action, overtaken);
    try {
      const status = await this.#call(action, to, signal);
      if (!this.#closing.signal.aborted) this.#move(status);
    } catch (error) {
      if (!signal.aborted) await this.#failed(action, error);
    } finally {
      overtaken.abort();
      await watching;
    }
  }

  /** Aborts the action when an update makes it wrong, e.g. waiting for a task that now has to leave. */
  async #watchOvertaken(action: TaskAction, overtaken: AbortController): Promise<void> {
    const ended = onceAborted(overtaken.signal);
    while (!overtaken.signal.aborted) {
      await Promise.race([this.#changed.promise, ended]);
      const step = this.#next();
      if (step.kind !== 'perform' || step.action !== action) overtaken.abort(new Error('overtaken'));
    }
  }

  async #call(action: TaskAction, to: TaskState, signal: AbortSignal): Promise<TaskStatus> {
    const { controller, clock } = this.#modules;
    if (action === 'wait') return this.#ended(await controller.wait(signal));
    if (action === 'prepare') await controller.prepare(signal);
    if (action === 'start') await controller.start(signal);
    if (action === 'leave') await controller.drain(signal);
    if (action === 'leave' || action === 'shutdown') await controller.shutdown(signal);
    return movedTo(this.#status, to, clock.wallMs(), controller.info());
  }

  #ended(exit: { readonly code: number; readonly error?: string }): TaskStatus {
    const info = this.#modules.controller.info();
    const error = exitError(exit.code, exit.error);
    const nowMs = this.#modules.clock.wallMs();
    if (error === undefined) return movedTo(this.#status, TaskState.Complete, nowMs, info);
    return failedWith(this.#status, error, nowMs, info);
  }

  async #failed(action: TaskAction, error: unknown): Promise<void> {
    const stopping = action === 'leave' || action === 'shutdown';
    const isTemporary = error instanceof TemporaryError && ++this.#failedTries < TEMPORARY_TRIES_MAX;
    if (stopping || isTemporary) {
      this.#modules.log.warn('task step failed, trying again', { action, task: this.#task.id, err: error });
      await this.#modules.clock.sleep(TEMPORARY_RETRY_MS, this.#closing.signal).catch(() => undefined);
      return;
    }
    const { controller, clock } = this.#modules;
    this.#move(failedWith(this.#status, messageOf(error), clock.wallMs(), controller.info()));
  }

  /** What is only to be marked after it is remembered and told with it: each time costs a write to the disk. */
  #move(status: TaskStatus): void {
    this.#failedTries = 0;
    this.#status = status;
    for (let step = this.#next(); step.kind === 'mark'; step = this.#next())
      this.#status = movedTo(this.#status, step.to, this.#modules.clock.wallMs());
    this.#modules.saved(this.#status);
  }
}

/** Resolves when the signal aborts; `release` ends the waiting. */
function onceAborted(signal: AbortSignal, release?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), {
      once: true,
      ...(release ? { signal: release } : {}),
    });
  });
}
