import type { TaskId } from '#proto/types/ids.ts';
import type { TaskStatus } from '#proto/types/objects.ts';
import { isTerminal } from '#proto/types/states.ts';

/** What goes into one message; the next follows when these are in the log. */
const MESSAGE_REPORTS_MAX = 500;

export interface ReportBatch {
  readonly serial: number;
  readonly reports: readonly (readonly [TaskId, TaskStatus])[];
}

/**
 * Status reports on their way to the managers: the latest of each task, kept until a manager says that it is stored.
 * One batch is under way at a time; what is reported meanwhile is merged, so a slow manager gets fewer, newer ones.
 */
export class Reports {
  readonly #waitingMax: number;
  readonly #waiting = new Map<TaskId, TaskStatus>();
  #underWay: { readonly serial: number; readonly reports: ReadonlyMap<TaskId, TaskStatus> } | undefined;
  #serial = 0;
  #dropped = 0;

  constructor(waitingMax: number) {
    this.#waitingMax = waitingMax;
  }

  /** How many were dropped because too many tasks waited; each stays known to its task and is reported again. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Nothing waits and nothing is under way. */
  get idle(): boolean {
    return this.#underWay === undefined && this.#waiting.size === 0;
  }

  /** Adds a status. One that is behind what waits already is stale, and ignored. */
  add(taskId: TaskId, status: TaskStatus): void {
    const known = this.#waiting.get(taskId);
    if (known !== undefined && known.state > status.state) return;
    this.#waiting.set(taskId, status);
    if (this.#waiting.size > this.#waitingMax) this.#dropOne();
  }

  /** The next batch to send, if none is under way and something waits. */
  take(): ReportBatch | undefined {
    if (this.#underWay !== undefined || this.#waiting.size === 0) return undefined;
    const reports = new Map([...this.#waiting].slice(0, MESSAGE_REPORTS_MAX));
    for (const taskId of reports.keys()) this.#waiting.delete(taskId);
    this.#serial += 1;
    this.#underWay = { serial: this.#serial, reports };
    return { serial: this.#serial, reports: [...reports] };
  }

  /** The batch with this serial is in the log. */
  stored(serial: number): void {
    if (this.#underWay?.serial === serial) this.#underWay = undefined;
  }

  /** The manager is gone: what was under way waits again, unless something newer does. */
  reset(): void {
    const reports = this.#underWay?.reports ?? new Map<TaskId, TaskStatus>();
    this.#underWay = undefined;
    for (const [taskId, status] of reports) {
      const newer = this.#waiting.get(taskId);
      if (newer === undefined || newer.state < status.state) this.#waiting.set(taskId, status);
    }
    while (this.#waiting.size > this.#waitingMax) this.#dropOne();
  }

  /** Drops the oldest of a task that has not ended, else the oldest: an end is what managers act upon. */
  #dropOne(): void {
    const entries = [...this.#waiting];
    const [taskId] =
      entries.find(([, status]) => !isTerminal(status.state)) ?? (entries[0] as (typeof entries)[0]);
    this.#waiting.delete(taskId);
    this.#dropped += 1;
  }
}
