import { assert } from '#proto/base/assert.ts';
import type { NodeId, ServiceId, TaskId } from '#proto/types/ids.ts';
import type { Task, TaskStatus } from '#proto/types/objects.ts';
import type { DesiredState } from '#proto/types/states.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import type { Columns } from './columns.ts';
import type { Names, Words } from './names.ts';
import { ID_WORDS, packId, unpackId } from './packed-id.ts';
import type { Slab } from './slab.ts';
import { decodeTask, encodeBody } from './task-body.ts';

/** Where rows are: columns, the names that these number, and bodies. */
export interface RowSource {
  readonly columns: Columns;
  readonly services: Names<ServiceId>;
  readonly nodes: Names<NodeId>;
  readonly bodies: Slab;
}

/** A task as it was put aside, or that there was none. */
export interface PackedTask {
  /** Its packed id; that of the next one when that one is looked at. */
  readonly id: Uint32Array;
  /** Absent: there was no such task. */
  readonly row?: PackedRow;
}

export interface PackedRow {
  readonly serviceId: ServiceId;
  readonly nodeId: NodeId | undefined;
  readonly specVersion: number;
  readonly slot: number;
  readonly desired: number;
  readonly state: number;
  /** Where its body is. */
  readonly bytes: Buffer;
  readonly start: number;
  readonly length: number;
}

const idWords = new Uint32Array(ID_WORDS);
const idBytes = Buffer.from(idWords.buffer);

/**
 * Tasks that were put aside, one behind the other: out of sight of the garbage collector, but for the names they share
 * with the tables.
 */
export class PackedTasks {
  readonly #words: Words;
  readonly #writer = new ByteWriter();
  /** Of each task: its service and its node. */
  readonly #names: (ServiceId | NodeId | undefined)[] = [];
  #trimmed: Buffer | undefined;
  #size = 0;

  /** Bodies name these words. */
  constructor(words: Words) {
    this.#words = words;
  }

  get size(): number {
    return this.#size;
  }

  /** A row as it is now. */
  addRow({ columns, services, nodes, bodies }: RowSource, row: number): void {
    columns.copyId(row, idWords, 0);
    const block = columns.body(row);
    this.#head(columns.state(row), columns.desired(row), columns.specVersion(row), columns.slot(row));
    this.#body(bodies.bytesOf(block), bodies.startOf(block), bodies.lengthOf(block));
    this.#names.push(services.nameOf(columns.service(row)), nodes.nameOf(columns.node(row)));
  }

  addTask(task: Task): void {
    const { bytes, length } = encodeBody(task, this.#words);
    assert(packId(task.id, idWords, 0), `${task.id} is no task's id`);
    this.#head(task.status.state, task.desired, task.specVersion, task.slot);
    this.#body(bytes, 0, length);
    this.#names.push(task.serviceId, task.nodeId);
  }

  /** That there is no such task. */
  addNone(id: string): void {
    assert(packId(id, idWords, 0), `${id} is no task's id`);
    this.#writer.raw(idBytes, 0, idBytes.length);
    this.#writer.count(0);
    this.#names.push(undefined, undefined);
    this.#size += 1;
  }

  /** Nothing comes any more: lets go of memory that was for more. */
  trim(): void {
    const { bytes, length } = this.#writer;
    // Not from the pool that small buffers share: one that is kept would keep it all.
    this.#trimmed = Buffer.allocUnsafeSlow(length);
    bytes.copy(this.#trimmed, 0, 0, length);
    this.#writer.forget();
  }

  /** In the order in which they were put aside. */
  *all(): Generator<PackedTask> {
    const bytes = this.#trimmed ?? this.#writer.bytes;
    const id = new Uint32Array(ID_WORDS);
    const intoId = Buffer.from(id.buffer);
    const reader = new ByteReader();
    reader.restart(bytes, 0);
    for (let number = 0; number < this.#size; number++) {
      reader.raw(intoId);
      const row = this.#readRow(number, bytes, reader);
      yield row === undefined ? { id } : { id, row };
    }
  }

  /** The task as a frozen object; null where there was none. */
  taskOf({ id, row }: PackedTask): Task | null {
    if (row === undefined) return null;
    const head = {
      id: unpackId(id, 0) as TaskId,
      serviceId: row.serviceId,
      specVersion: row.specVersion,
      slot: row.slot,
      nodeId: row.nodeId,
      desired: row.desired as DesiredState,
      state: row.state as TaskStatus['state'],
    };
    return decodeTask(head, row.bytes, row.start, this.#words);
  }

  #head(state: number, desired: number, specVersion: number, slot: number): void {
    this.#writer.raw(idBytes, 0, idBytes.length);
    this.#writer.count(1 + state);
    this.#writer.count(desired);
    this.#writer.count(specVersion);
    this.#writer.count(slot);
    this.#size += 1;
  }

  #body(from: Buffer, start: number, length: number): void {
    this.#writer.count(length);
    this.#writer.raw(from, start, length);
  }

  #readRow(number: number, bytes: Buffer, reader: ByteReader): PackedRow | undefined {
    const state = reader.count() - 1;
    if (state < 0) return undefined;
    const desired = reader.count();
    const specVersion = reader.count();
    const slot = reader.count();
    const length = reader.count();
    const start = reader.skip(length);
    const serviceId = this.#names[2 * number] as ServiceId;
    const nodeId = this.#names[2 * number + 1] as NodeId | undefined;
    return { serviceId, nodeId, specVersion, slot, desired, state, bytes, start, length };
  }
}
