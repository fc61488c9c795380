import type { NodeId, ServiceId } from '#proto/types/ids.ts';
import { Columns, PROBE } from './columns.ts';
import { Names } from './names.ts';
import { OrderedRows } from './ordered-rows.ts';
import { ID_WORDS } from './packed-id.ts';
import type { PackedTask, PackedTasks, RowSource } from './packed-tasks.ts';
import { RowHash } from './row-hash.ts';
import { Slab } from './slab.ts';

/** Sorts before every id. */
const FIRST_ID = '0'.repeat(25);

const idWords = new Uint32Array(ID_WORDS);

/**
 * What is different from the live table for somebody who goes through all tasks by id, once: rows as they were. What is
 * passed is forgotten, and what changes there is none of its business.
 */
export class SetAside implements RowSource {
  readonly columns = new Columns();
  readonly services = new Names<ServiceId>();
  readonly nodes = new Names<NodeId>();
  readonly bodies = new Slab();
  readonly #found = new RowHash(this.columns.hashId, this.columns.sameId);
  readonly #ids = new OrderedRows(this.columns.compareIds);
  /** A row in no index, whose id is the last one that was passed. */
  readonly #passed = this.columns.add();
  #hasPassed = false;
  /** Another one, for what upTo() is asked. */
  readonly #last = this.columns.add();

  /** What was put aside of tasks that are not passed, and is not known better. */
  absorb(tasks: PackedTasks): void {
    for (const task of tasks.all()) {
      this.columns.setIdWords(PROBE, task.id, 0);
      if (this.#hasPassed && this.columns.compareIds(PROBE, this.#passed) <= 0) continue;
      if (this.#found.find(PROBE) === 0) this.#add(task);
    }
  }

  /** Negative, zero, positive: another table's row comes before a row of its own, is of the same task, comes behind it. */
  order(columns: Columns, other: number, own: number): number {
    columns.copyId(other, idWords, 0);
    this.columns.setIdWords(PROBE, idWords, 0);
    return this.columns.compareIds(PROBE, own);
  }

  /** False where it says that there was no such task. */
  isTask(row: number): boolean {
    return this.columns.service(row) !== 0;
  }

  /** Its rows, by id, up to the id of another table's row; without one, all. */
  upTo(columns: Columns, last: number | undefined): number[] {
    if (last !== undefined) columns.copyId(last, idWords, 0);
    if (last !== undefined) this.columns.setIdWords(this.#last, idWords, 0);
    const fits = (row: number): boolean =>
      last === undefined || this.columns.compareIds(row, this.#last) <= 0;
    this.columns.setId(PROBE, FIRST_ID);
    return this.#ids.from(PROBE, fits);
  }

  /** Everything up to the id of another table's row was passed; `rows` are its own among that. */
  pass(rows: readonly number[], columns: Columns, last: number): void {
    columns.copyId(last, idWords, 0);
    this.columns.setIdWords(this.#passed, idWords, 0);
    this.#hasPassed = true;
    for (const row of rows) this.#remove(row);
  }

  #add({ id, row: given }: PackedTask): void {
    const { columns, services, nodes, bodies } = this;
    const row = columns.add();
    columns.setIdWords(row, id, 0);
    columns.setService(row, given === undefined ? 0 : services.use(given.serviceId));
    columns.setNode(row, given?.nodeId === undefined ? 0 : nodes.use(given.nodeId));
    if (given !== undefined) {
      columns.setSpecVersion(row, given.specVersion);
      columns.setSlot(row, given.slot);
      columns.setState(row, given.state);
      columns.setDesired(row, given.desired);
      columns.setBody(row, bodies.add(given.bytes, given.start, given.length));
    }
    this.#found.add(row);
    this.#ids.add(row);
  }

  #remove(row: number): void {
    this.#found.remove(row);
    this.#ids.remove(row);
    if (this.isTask(row)) {
      this.services.leave(this.columns.service(row));
      if (this.columns.node(row) !== 0) this.nodes.leave(this.columns.node(row));
      this.bodies.remove(this.columns.body(row));
    }
    this.columns.remove(row);
  }
}
