import type { Clock } from '#proto/base/clock.ts';
import type { Random } from '#proto/base/random.ts';
import type { RpcDialer } from '#proto/rpc/types.ts';
import type { ServiceId, TaskId } from '#proto/types/ids.ts';
import type { Task } from '#proto/types/objects.ts';
import { isDead } from '#scheduler/slots.ts';
import type { EventBatch, Store } from '../store/view.ts';
import { Merge } from './merge.ts';
import type { LogOpts, LogRecord, LogSelector } from './records.ts';
import { type TaskSourceModules, taskRecords } from './task-source.ts';

export interface LogBrokerModules {
  readonly store: Pick<Store, 'view' | 'subscribe'>;
  readonly dialer: Pick<RpcDialer, 'client'>;
  readonly clock: Clock;
  readonly random: Random;
}

/** Tasks that one request reads at a time. */
const SOURCES_MAX = 500;
/** Reasons for gaps that are told; there may be as many as tasks. */
const REASONS_MAX = 20;

/** What a reader of logs gets: records, and in the end what could not be had. */
export type LogPiece = LogRecord | { readonly gaps: readonly string[] };

/** Brings the output of tasks together from the nodes they run on, in order of time. */
export class LogBroker {
  readonly #modules: LogBrokerModules;

  constructor(modules: LogBrokerModules) {
    this.#modules = modules;
  }

  /**
   * The output of a service's tasks, or of one. Followed, it goes on with what they say and with tasks that come later,
   * until the service or the task is gone, or the signal aborts; a node that can't be reached is then told of in a line
   * of its own. Otherwise it ends, whatever nodes do, with the gaps that there are.
   */
  async *read(selector: LogSelector, opts: LogOpts, signal?: AbortSignal): AsyncGenerator<LogPiece> {
    const over = new AbortController();
    const stop = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
    const reading = new Reading(opts, { ...this.#modules, signal: stop });
    const unfollow = opts.follow ? this.#follow(reading, selector) : undefined;
    try {
      reading.start(chosenTasks(tasksOf(this.#modules.store, selector)));
      if (!opts.follow || 'taskId' in selector) reading.merge.close();
      yield* reading.merge.records(stop);
      if (!opts.follow && reading.gaps.size > 0) yield { gaps: [...reading.gaps].slice(0, REASONS_MAX) };
    } finally {
      unfollow?.();
      over.abort(new Error('the reader is gone'));
    }
  }

  #follow(reading: Reading, selector: LogSelector): (() => void) | undefined {
    if ('taskId' in selector) return undefined;
    const { serviceId } = selector;
    return this.#modules.store.subscribe(({ events }: EventBatch) => {
      for (const event of events) {
        if (event.table === 'task') reading.hear(event, serviceId);
        if (event.table === 'service' && event.id === serviceId && event.row === undefined)
          reading.merge.close();
      }
    });
  }
}

function tasksOf(store: Pick<Store, 'view'>, selector: LogSelector): readonly Task[] {
  const { tasks } = store.view();
  if ('serviceId' in selector) return tasks.byService(selector.serviceId);
  const task = tasks.get(selector.taskId);
  return task === undefined ? [] : [task];
}

/** Those that run before those that have ended, the newest first. */
function chosenTasks(tasks: readonly Task[]): readonly Task[] {
  return [...tasks].sort((a, b) => Number(isDead(a)) - Number(isDead(b)) || b.createdAtMs - a.createdAtMs);
}

/** One request for logs: its tasks, and what went wrong. */
class Reading {
  readonly merge: Merge<LogRecord>;
  readonly gaps = new Set<string>();
  readonly #opts: LogOpts;
  readonly #modules: LogBrokerModules & { readonly signal: AbortSignal };
  readonly #seen = new Set<TaskId>();

  constructor(opts: LogOpts, modules: LogBrokerModules & { readonly signal: AbortSignal }) {
    this.#opts = opts;
    this.#modules = modules;
    this.merge = new Merge(modules);
  }

  start(tasks: readonly Task[]): void {
    for (const task of tasks) this.#add(task, this.#opts);
    const left = tasks.length - this.#seen.size;
    if (left > 0) this.gaps.add(`${left} more tasks are left out: at most ${SOURCES_MAX} are read at a time`);
  }

  /** A task that came later is told from its beginning; one that is gone never returns. */
  hear({ id, row }: { readonly id: string; readonly row?: Task }, serviceId: ServiceId): void {
    const { tail: _, ...opts } = this.#opts;
    if (row === undefined) this.#seen.delete(id as TaskId);
    else if (row.serviceId === serviceId) this.#add(row, opts);
  }

  #add(task: Task, opts: LogOpts): void {
    if (this.merge.size >= SOURCES_MAX || this.#seen.has(task.id)) return;
    this.#seen.add(task.id);
    this.merge.add(this.#records(task, opts));
  }

  async *#records(task: Task, opts: LogOpts): AsyncGenerator<LogRecord> {
    const gaps: LogRecord[] = [];
    const onGap = (told: Task, reason: string): void => {
      this.gaps.add(reason);
      if (opts.follow && told.nodeId !== undefined) gaps.push(this.#gapRecord(told, reason));
    };
    const modules: TaskSourceModules = { ...this.#modules, onGap };
    yield* taskRecords(task.id, opts, modules, this.#modules.signal);
    yield* gaps;
  }

  /** Who follows would take an error for the end: it is said as the task's own. */
  #gapRecord({ id, serviceId, nodeId }: Task, reason: string): LogRecord {
    const wallMs = Math.floor(this.#modules.clock.wallMs());
    return {
      taskId: id,
      serviceId,
      nodeId: nodeId as LogRecord['nodeId'],
      stderr: true,
      at: new Date(wallMs).toISOString(),
      atNs: BigInt(wallMs) * 1_000_000n,
      data: Buffer.from(`shoal: the output of this task can't be read: ${reason}\n`),
    };
  }
}
