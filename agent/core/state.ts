import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { GroupCommit } from './group-commit.ts';
import { tryLockFile } from './linux/lock.ts';
import type { ContainerRun, ContainerSpec } from './record.ts';

/** Rows of JSON by id. Every write is on disk when its call returns. */
export interface JsonTable<T> {
  put(id: string, value: T): void;
  get(id: string): T | undefined;
  all(): T[];
  delete(id: string): void;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS containers (id TEXT PRIMARY KEY, spec TEXT NOT NULL, run TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS networks (id TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS volumes (id TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS tasks (id TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS facts (id TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
`;

/**
 * What the engine remembers across restarts: one SQLite file; calls are synchronous and small. What was written about
 * containers is known to the next daemon when the call returns, however this one ends. The end of the machine it
 * survives once `committed` has resolved: containers that start at the same moment share one wait for the disk.
 */
export class EngineState implements Disposable {
  readonly networks: JsonTable<unknown>;
  readonly volumes: JsonTable<unknown>;
  /** For the worker: what it was told to run. */
  readonly tasks: JsonTable<unknown>;
  /** Single values, such as this engine's id. */
  readonly facts: JsonTable<unknown>;
  readonly #database: DatabaseSync;
  readonly #lock: Disposable;
  readonly #commits: GroupCommit;
  readonly #putContainer: StatementSync;
  readonly #putRun: StatementSync;
  readonly #deleteContainer: StatementSync;

  /** Opens, or makes, the state in this folder. UNAVAILABLE when another engine has it. */
  constructor(opts: { folder: string }) {
    mkdirSync(opts.folder, { recursive: true, mode: 0o700 });
    this.#lock = tryLockFile(join(opts.folder, 'lock'));
    const file = join(opts.folder, 'engine.db');
    this.#database = new DatabaseSync(file);
    // NORMAL appends to the log and leaves the wait for the disk to us.
    this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
    this.#database.exec(SCHEMA);
    this.#commits = new GroupCommit({ file: `${file}-wal` });
    this.networks = this.#table('networks');
    this.volumes = this.#table('volumes');
    this.tasks = this.#table('tasks');
    this.facts = this.#table('facts');
    this.#putContainer = this.#database.prepare('INSERT OR REPLACE INTO containers VALUES (?, ?, ?)');
    this.#putRun = this.#database.prepare('UPDATE containers SET run = ? WHERE id = ?');
    this.#deleteContainer = this.#database.prepare('DELETE FROM containers WHERE id = ?');
  }

  putContainer(spec: ContainerSpec, run: ContainerRun): void {
    this.#putContainer.run(spec.id, JSON.stringify(spec), JSON.stringify(run));
    this.#commits.wrote();
  }

  putRun(id: string, run: ContainerRun): void {
    this.#putRun.run(JSON.stringify(run), id);
    this.#commits.wrote();
  }

  deleteContainer(id: string): void {
    this.#deleteContainer.run(id);
    this.#commits.wrote();
  }

  /** Resolves when all that was written before is on disk. */
  committed(): Promise<void> {
    return this.#commits.committed();
  }

  /** The same before it returns. */
  commit(): void {
    this.#commits.commit();
  }

  containers(): { spec: ContainerSpec; run: ContainerRun }[] {
    return this.#database
      .prepare('SELECT spec, run FROM containers')
      .all()
      .map((row) => ({ spec: parsed<ContainerSpec>(row['spec']), run: parsed<ContainerRun>(row['run']) }));
  }

  [Symbol.dispose](): void {
    this.#commits[Symbol.dispose]();
    this.#database.close();
    this.#lock[Symbol.dispose]();
  }

  #table(name: 'networks' | 'volumes' | 'tasks' | 'facts'): JsonTable<unknown> {
    const put = this.#database.prepare(`INSERT OR REPLACE INTO ${name} VALUES (?, ?)`);
    const get = this.#database.prepare(`SELECT json FROM ${name} WHERE id = ?`);
    const all = this.#database.prepare(`SELECT json FROM ${name}`);
    const remove = this.#database.prepare(`DELETE FROM ${name} WHERE id = ?`);
    return {
      put: (id, value) => {
        put.run(id, JSON.stringify(value));
        this.#commits.commit();
      },
      get: (id) => parsedRow(get.get(id)),
      all: () => all.all().map(parsedRow),
      delete: (id) => {
        remove.run(id);
        this.#commits.commit();
      },
    };
  }
}

function parsedRow(row: Record<string, unknown> | undefined): unknown {
  return row === undefined ? undefined : parsed(row['json']);
}

function parsed<T>(text: unknown): T {
  return JSON.parse(String(text)) as T;
}
