import type { Stored } from '#proto/types/objects.ts';
import type { TableName } from '../changes.ts';
import { keyOf, type Rows, type Tables } from '../tables.ts';
import type { StoreEvent } from '../view.ts';

/** A row without what its writer fills in. */
export type Unstamped<Table extends TableName> = Omit<Rows[Table], keyof Stored>;

interface Touched {
  readonly table: TableName;
  readonly key: string;
  /** The row before the transaction. */
  readonly previous: Rows[TableName] | undefined;
  /** The row as it is now. */
  row: Rows[TableName] | undefined;
  /** False while only counters have changed, which nobody is told of. */
  seen: boolean;
}

/** Writes one transaction's rows to the tables, and remembers what they were: to tell, or to undo. */
export class Writer {
  readonly tables: Tables;
  /** The version that rows written here get. */
  readonly version: number;
  readonly atMs: number;
  readonly #touched = new Map<string, Touched>();

  constructor(tables: Tables, version: number, atMs: number) {
    this.tables = tables;
    this.version = version;
    this.atMs = atMs;
  }

  /** Creates or replaces a row under this transaction's version and time. */
  put<Table extends TableName>(table: Table, row: Unstamped<Table>): void {
    const key = keyOf(table, row as Rows[Table]);
    const touched = this.#touch(table, key, true);
    const createdAtMs = touched.row?.createdAtMs ?? this.atMs;
    const stamped = { ...row, version: this.version, createdAtMs, updatedAtMs: this.atMs };
    touched.row = Object.freeze(stamped) as unknown as Rows[Table];
    this.tables.put(table, touched.row as Rows[Table]);
  }

  /** Replaces a row by one that differs in counters only: its version stays, and no event tells of it. */
  putCounters<Table extends TableName>(table: Table, row: Rows[Table]): void {
    Object.freeze(row);
    this.#touch(table, keyOf(table, row), false).row = row;
    this.tables.put(table, row);
  }

  remove(table: TableName, key: string): void {
    this.#touch(table, key, true).row = undefined;
    this.tables.remove(table, key);
  }

  /** What the transaction did: one event a row, in the order in which rows were first written. */
  events(): StoreEvent[] {
    const events: StoreEvent[] = [];
    this.#touched.forEach(({ table, key, row, previous, seen }) => {
      if (seen && (row ?? previous) !== undefined) events.push(eventOf(table, key, row, previous));
    });
    return events;
  }

  /** Puts every row back as it was. */
  undo(): void {
    for (const { table, key, previous } of this.#touched.values()) {
      if (previous === undefined) this.tables.remove(table, key);
      else this.tables.put(table, previous);
    }
    this.#touched.clear();
  }

  #touch(table: TableName, key: string, seen: boolean): Touched {
    const name = `${table} ${key}`;
    const known = this.#touched.get(name);
    if (known !== undefined) {
      known.seen ||= seen;
      return known;
    }
    const row = this.tables.get(table, key);
    const touched = { table, key, previous: row, row, seen };
    this.#touched.set(name, touched);
    return touched;
  }
}

/** The event of a row that is now `row` and was `previous`. */
export function eventOf(
  table: TableName,
  id: string,
  row: Rows[TableName] | undefined,
  previous: Rows[TableName] | undefined,
): StoreEvent {
  if (row === undefined) return { table, id, previous } as StoreEvent;
  return (previous === undefined ? { table, id, row } : { table, id, row, previous }) as StoreEvent;
}
