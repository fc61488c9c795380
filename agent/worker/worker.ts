import type { Clock } from '#proto/base/clock.ts';
import type { Log } from '#proto/base/log.ts';
import { type Assigned, type AssignedTask, revisionKey } from '#proto/types/assignments.ts';
import type { TaskId } from '#proto/types/ids.ts';
import type { Revision, TaskStatus } from '#proto/types/objects.ts';
import { isTerminal } from '#proto/types/states.ts';
import type { Executor, TaskContext, TaskController } from '../exec/executor.ts';
import { TaskManager } from './task-manager.ts';

/** What is remembered of a task, so that a daemon that restarts goes on without any manager. */
export interface TaskRecord {
  readonly task: AssignedTask;
  readonly context: TaskContext;
  readonly status: TaskStatus;
}

/** Where records live; each call is on disk when it returns. */
export interface TaskRecords {
  all(): TaskRecord[];
  put(record: TaskRecord): void;
  delete(taskId: TaskId): void;
}

export interface WorkerModules {
  readonly clock: Clock;
  readonly log: Log;
  readonly executor: Executor;
  readonly records: TaskRecords;
  /** Hands a status on to the managers (agent/session). */
  readonly report: (taskId: TaskId, status: TaskStatus) => void;
  readonly hostname: string;
}

interface Entry {
  record: TaskRecord;
  readonly manager: TaskManager;
}

/**
 * Carries out what the managers assigned to this node: one TaskManager per task, made when the task appears, told of every
 * change, and taken down with the container when the task is no longer assigned.
 */
export class Worker implements AsyncDisposable {
  readonly #modules: WorkerModules;
  readonly #entries = new Map<TaskId, Entry>();
  readonly #removing = new Map<TaskId, Promise<void>>();
  readonly #stopping = new AbortController();
  #swept = false;

  constructor(modules: WorkerModules) {
    this.#modules = modules;
  }

  /** Goes on with every task that the last daemon knew. */
  resume(): void {
    for (const record of this.#modules.records.all()) this.#start(record);
  }

  /** Brings the node to this assignment: starts what is new, tells what changed, takes down what is gone. */
  assign(assigned: Assigned): void {
    for (const task of assigned.tasks.values()) this.#put(task, assigned);
    for (const taskId of this.#entries.keys()) {
      if (!assigned.tasks.has(taskId)) this.#remove(taskId);
    }
    if (!this.#swept) this.#sweep();
  }

  /** Once, when it is known what belongs here: takes away what a crash or a lost disk left of other tasks. */
  #sweep(): void {
    this.#swept = true;
    const keep = new Set([...this.#entries.keys(), ...this.#removing.keys()]);
    this.#modules.executor.sweep(keep, this.#stopping.signal).catch((error: unknown) => {
      this.#swept = false;
      this.#modules.log.warn('could not remove leftovers of former tasks', { err: error });
    });
  }

  /** Every status this node knows; sent again to a manager that may have missed some. */
  statuses(): [TaskId, TaskStatus][] {
    return [...this.#entries].map(([taskId, { record }]) => [taskId, record.status]);
  }

  /** Stops driving; tasks go on running. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new Error('the agent is stopping'));
    await Promise.all([...this.#entries.values()].map(({ manager }) => manager[Symbol.asyncDispose]()));
    await Promise.all(this.#removing.values());
  }

  #put(task: AssignedTask, assigned: Assigned): void {
    const entry = this.#entries.get(task.id);
    if (entry !== undefined) return this.#update(entry, task);
    const revision = assigned.revisions.get(revisionKey(task.serviceId, task.specVersion));
    if (revision === undefined || isTerminal(task.state) || this.#removing.has(task.id)) return;
    const context = this.#contextOf(task, revision, assigned);
    this.#start({
      task,
      context,
      status: { state: task.state, atMs: this.#modules.clock.wallMs(), message: 'assigned' },
    });
  }

  /** Unchanged tasks keep their identity from one assignment to the next. */
  #update(entry: Entry, task: AssignedTask): void {
    if (entry.record.task === task) return;
    this.#save(entry, { ...entry.record, task });
    entry.manager.update(task);
  }

  #contextOf(task: AssignedTask, revision: Revision, assigned: Assigned): TaskContext {
    const networks = task.networks.flatMap(({ networkId }) => assigned.networks.get(networkId) ?? []);
    return { task, revision, networks, node: { ...assigned.self, hostname: this.#modules.hostname } };
  }

  #start(record: TaskRecord): void {
    const { executor, clock, log, records } = this.#modules;
    const controller: TaskController = executor.controller(record.context);
    const saved = (status: TaskStatus): void => {
      this.#save(entry, { ...entry.record, status });
      this.#modules.report(record.task.id, status);
    };
    records.put(record);
    const manager = new TaskManager(record.task, record.status, { clock, log, controller, saved });
    const entry: Entry = { record, manager };
    this.#entries.set(record.task.id, entry);
    this.#modules.report(record.task.id, record.status);
    manager.start();
  }

  #save(entry: Entry, record: TaskRecord): void {
    entry.record = record;
    this.#modules.records.put(record);
  }

  #remove(taskId: TaskId): void {
    const entry = this.#entries.get(taskId);
    if (entry === undefined) return;
    this.#entries.delete(taskId);
    const removed = this.#takeDown(taskId, entry.manager).finally(() => this.#removing.delete(taskId));
    this.#removing.set(taskId, removed);
  }

  /** Tried until it works: nothing of a task may stay behind. */
  async #takeDown(taskId: TaskId, manager: TaskManager): Promise<void> {
    const { clock, log, records } = this.#modules;
    while (!this.#stopping.signal.aborted) {
      try {
        await manager.remove(this.#stopping.signal);
        return records.delete(taskId);
      } catch (error) {
        if (this.#stopping.signal.aborted) return;
        log.warn('could not remove a task, trying again', { task: taskId, err: error });
        await clock.sleep(REMOVE_RETRY_MS, this.#stopping.signal).catch(() => undefined);
      }
    }
  }
}

const REMOVE_RETRY_MS = 1_000;
