import type { TaskId } from '#proto/types/ids.ts';
import type { Task } from '#proto/types/objects.ts';

/*
 * How a view stays as it was while the one live table moves on: before a row changes for the first time since a view was
 * taken, what it was is put aside. Each such part of the past knows the next one, and nobody knows the one before, so that
 * a part is forgotten with the last view that needs it.
 */

/** A task there was, or that there was none. */
export type Before = Task | null;

/** What was put aside during one stretch of time. */
export class Past {
  readonly rows = new Map<TaskId, Before>();
  /** Numbers of tasks of revisions, as they were. */
  readonly counts = new Map<string, number>();
  /** What was put aside after this; absent on the newest part, which still grows. */
  next: Past | undefined;

  /** Nothing has changed since this part began. */
  get isEmpty(): boolean {
    return this.rows.size === 0;
  }

  note(id: TaskId, before: Before): void {
    if (!this.rows.has(id)) this.rows.set(id, before);
  }

  noteCount(revision: string, before: number): void {
    if (!this.counts.has(revision)) this.counts.set(revision, before);
  }
}
