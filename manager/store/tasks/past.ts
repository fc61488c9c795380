import type { Words } from './names.ts';
import { PackedTasks } from './packed-tasks.ts';

/*
 * How a view stays as it was while the one live table moves on: before a row changes, what it was is put aside. Each such
 * part of the past knows the next one, and nobody knows the one before, so that a part is forgotten with the last view
 * that needs it. A view that is gone and not yet collected still keeps all parts behind it: that is why they hold bytes,
 * which cost little to keep, and not tasks.
 */

/** What was put aside during one stretch of time. */
export class Past {
  /** Tasks as they were, or that there were none; where one is there more than once, its first is what it was. */
  readonly tasks: PackedTasks;
  /** Numbers of tasks of revisions, as they were. */
  #counts: Map<string, number> | undefined;
  /** What was put aside after this; absent on the newest part, which still grows. */
  next: Past | undefined;

  constructor(words: Words) {
    this.tasks = new PackedTasks(words);
  }

  /** Nothing has changed since this part began. */
  get isEmpty(): boolean {
    return this.tasks.size === 0;
  }

  get counts(): Iterable<readonly [string, number]> {
    return this.#counts ?? [];
  }

  noteCount(revision: string, before: number): void {
    this.#counts ??= new Map();
    if (!this.#counts.has(revision)) this.#counts.set(revision, before);
  }
}
