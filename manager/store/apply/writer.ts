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
    const createdAtMs = this.#touch(table, key, true)?.createdAtMs ?? this.atMs;
    const stamped = { ...row, version: this.version, createdAtMs, updatedAtMs: this.atMs };
    this.tables.put(table, Object.freeze(stamped) as unknown as Rows[Table]);
  }

  /** Replaces a row by one that differs in counters only: its version stays, and no event tells of it. */
  putCounters<Table extends TableName>(table: Table, row: Rows[Table]): void {
    this.#touch(table, keyOf(table, row), false);
    Object.freeze(row);
    this.tables.put(table, row);
  }

  remove(table: TableName, key: string): void {
    this.#touch(table, key, true);
    this.tables.remove(table, key);
  }

  /** What the transaction did: one event a row, in the order in which rows were first written. */
  events(): StoreEvent[] {
    return [...this.#touched.values()]
      .filter(({ seen }) => seen)
      .map(({ table, key, previous }) => eventOf(table, key, this.tables.get(table, key), previous))
      .filter(({ row, previous }) => row !== undefined || previous !== undefined);
  }

  /** Puts every row back as it was. */
  undo(): void {
    for (const { table, key, previous } of this.#touched.values()) {
      if (previous === undefined) this.tables.remove(table, key);
      else this.tables.put(table, previous);
    }
    this.#touched.clear();
  }

  #touch<Table extends TableName>(table: Table, key: string, seen: boolean): Rows[Table] | undefined {
    const name = `${table} ${key}`;
    const current = this.tables.get(table, key);
    const touched = this.#touched.get(name);
    if (touched === undefined) this.#touched.set(name, { table, key, previous: current, seen });
    else touched.seen ||= seen;
    return current;
  }
}

/** The event of a row that is now `row` and was `previous`. */
export function eventOf(
  table: TableName,
  id: string,
  row: Rows[TableName] | undefined,
  previous: Rows[TableName] | undefined,
): StoreEvent {
  return {
    table,
    id,
    ...(row === undefined ? {} : { row }),
    ...(previous === undefined ? {} : { previous }),
  } as StoreEvent;
}
