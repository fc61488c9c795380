import type { TaskPage } from '#proto/gen/shoal.ts';
import type { TaskId } from '#proto/types/ids.ts';
import type { LiveTasks } from './live-tasks.ts';
import type { PackedTasks } from './packed-tasks.ts';
import { type PageItem, type PageSource, PageWriter } from './page-writer.ts';
import type { Past } from './past.ts';
import { SetAside } from './set-aside.ts';

/** Tasks of a page. */
const PAGE_ROWS = 512;

/** What a walk begins with: the live table, what was different from it, and what changed since. */
export interface WalkStart {
  readonly live: LiveTasks;
  readonly different: PackedTasks | undefined;
  readonly past: Past;
}

/** All tasks as they were at one moment, as pages of a snapshot; the live table may change between one page and the next. */
export function* walkPages({ live, different, past: first }: WalkStart): Generator<TaskPage> {
  const aside = new SetAside();
  const writer = new PageWriter(live.words);
  const sources = { live: writer.source(live), aside: writer.source(aside) };
  if (different !== undefined) aside.absorb(different);
  let past = first;
  for (let last: TaskId | undefined, ended = false; !ended; ) {
    past = caughtUp(aside, past, live);
    const rows = live.rowsAfter(last, PAGE_ROWS);
    ended = rows.length < PAGE_ROWS;
    const lastRow = ended ? undefined : (rows.at(-1) as number);
    const asideRows = aside.upTo(live.columns, lastRow);
    const items = joined(sources, rows, asideRows);
    const page = writer.page(items);
    if (lastRow !== undefined) {
      last = live.columns.id(lastRow) as TaskId;
      aside.pass(asideRows, live.columns, lastRow);
    }
    if (items.length > 0) yield page;
  }
}

/** Takes in what was put aside up to now; gives the part that begins now. */
function caughtUp(aside: SetAside, from: Past, live: LiveTasks): Past {
  const now = live.past();
  for (let past: Past | undefined = from; past !== undefined && past !== now; past = past.next)
    aside.absorb(past.tasks);
  return now;
}

interface Sources {
  readonly live: PageSource<LiveTasks>;
  readonly aside: PageSource<SetAside>;
}

/** Rows of the live table that are not known better, and those that are, by id. */
function joined(
  { live, aside }: Sources,
  liveRows: readonly number[],
  asideRows: readonly number[],
): PageItem[] {
  const items: PageItem[] = [];
  const addAside = (row: number): void => {
    if (aside.rows.isTask(row)) items.push({ source: aside, row });
  };
  let next = 0;
  for (const liveRow of liveRows) {
    let order = 1;
    for (; next < asideRows.length && order > 0; next++) {
      const row = asideRows[next] as number;
      order = aside.rows.order(live.rows.columns, liveRow, row);
      if (order < 0) break;
      addAside(row);
    }
    if (order !== 0) items.push({ source: live, row: liveRow });
  }
  for (const row of asideRows.slice(next)) addAside(row);
  return items;
}
