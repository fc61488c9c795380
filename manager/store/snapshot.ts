import { setImmediate } from 'node:timers/promises';
import { ShoalError } from '#proto/base/errors.ts';
import { ownTurn } from '#proto/base/own-turn.ts';
import { cluster } from '#proto/convert/cluster.ts';
import { network } from '#proto/convert/network.ts';
import { node } from '#proto/convert/node.ts';
import { revision, service } from '#proto/convert/service.ts';
import type { Converter } from '#proto/convert/shape.ts';
import { task } from '#proto/convert/task.ts';
import type { SnapshotRecord, SnapshotRecordKeptPart } from '#proto/gen/shoal.ts';
import { decode, encode, type Input } from '#proto/rpc/codec.ts';
import type { TableName } from './changes.ts';
import { ownPart } from './log-entry.ts';
import { type KeptParts, NO_PARTS } from './parts.ts';
import { type Rows, TABLES, Tables } from './tables.ts';

/*
 * A snapshot is a stream of records: a header, every row, the parts that are kept of a transaction that is not whole yet,
 * a trailer with the count of rows and parts. Each record is a SnapshotRecord behind its length (4
 * bytes, big-endian). Where the stream is cut into chunks means nothing.
 */

/** Format 1 had a record for each task, format 2 has pages of them. */
const FORMAT = 2;
const OLDEST_FORMAT = 1;
/** With parts that are kept: a version of Shoal that knows none must not lose them. */
const FORMAT_WITH_PARTS = 3;
const LENGTH_BYTES = 4;
/**
 * What is written or read before others get their turn: some milliseconds of work. Less would make it last longer on a
 * busy loop, and for so long what changes is remembered, and the log grows.
 */
const SLICE_BYTES = 128 * 1024;
/** The same of what is written row by row. */
const SLICE_RECORDS = 256;
/** A row is of few changes, each of which fits an entry. */
const RECORD_BYTES_MAX = 16 * 1024 * 1024;

/** How the rows of each table travel; tables are named as the record's fields are. */
const converters: {
  readonly [Table in TableName]: Converter<Rows[Table], NonNullable<SnapshotRecord[Table]>>;
} = {
  cluster,
  node,
  service,
  network,
  revision,
  task,
};

/** What a snapshot holds. */
export interface SnapshotContent {
  readonly tables: Tables;
  readonly version: number;
  readonly parts: KeptParts;
}

/** The rows as chunks of a snapshot. The tables must not change until the last was taken. */
export async function* writeSnapshot(
  tables: Tables,
  version: number,
  parts: KeptParts = NO_PARTS,
): AsyncGenerator<Uint8Array> {
  let slice: Uint8Array[] = [];
  let sliceBytes = 0;
  for (const record of recordsOf({ tables, version, parts })) {
    const bytes = encode('SnapshotRecord', record);
    slice.push(lengthOf(bytes), bytes);
    sliceBytes += LENGTH_BYTES + bytes.length;
    if (sliceBytes < SLICE_BYTES && slice.length < 2 * SLICE_RECORDS) continue;
    yield Buffer.concat(slice);
    slice = [];
    sliceBytes = 0;
    await ownTurn();
  }
  yield Buffer.concat(slice);
}

function* recordsOf({ tables, version, parts }: SnapshotContent): Generator<Input<SnapshotRecord>> {
  let rows = 0;
  yield { header: { format: parts.parts.length > 0 ? FORMAT_WITH_PARTS : FORMAT, version } };
  for (const table of TABLES) {
    if (table === 'task') continue;
    const converter = converters[table] as Converter<unknown, unknown>;
    for (const row of tables.all(table)) {
      rows++;
      yield { [table]: converter.toWire(row) };
    }
  }
  for (const taskPage of tables.taskPages()) {
    rows += taskPage.slots.length / Float64Array.BYTES_PER_ELEMENT;
    yield { taskPage };
  }
  for (const part of parts.parts) {
    rows++;
    yield { keptPart: { term: parts.term, part } };
  }
  yield { trailer: { rows } };
}

function lengthOf(bytes: Uint8Array): Uint8Array {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(bytes.length);
  return length;
}

/** What a snapshot holds. Throws ShoalError INTERNAL on what is no whole snapshot. */
export async function readSnapshot(chunks: AsyncIterable<Uint8Array>): Promise<SnapshotContent> {
  const reader = new SnapshotReader();
  let sliceBytes = 0;
  let sliceRecords = 0;
  for await (const bytes of cut(chunks)) {
    reader.read(decode('SnapshotRecord', bytes));
    sliceBytes += bytes.length;
    sliceRecords += 1;
    if (sliceBytes < SLICE_BYTES && sliceRecords < SLICE_RECORDS) continue;
    sliceBytes = 0;
    sliceRecords = 0;
    await setImmediate();
  }
  const finishing = reader.finish();
  for (let step = finishing.next(); ; step = finishing.next()) {
    if (step.done) return step.value;
    await setImmediate();
  }
}

/** Records out of chunks. */
async function* cut(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    rest = Buffer.concat([rest, chunk]);
    let offset = 0;
    for (let end = endOfRecord(rest, offset); end <= rest.length; end = endOfRecord(rest, offset)) {
      yield rest.subarray(offset + LENGTH_BYTES, end);
      offset = end;
    }
    rest = rest.subarray(offset);
  }
  if (rest.length > 0) throw broken('it ends in the middle of a record');
}

/** Infinity while not even the length is there. */
function endOfRecord(bytes: Buffer, offset: number): number {
  if (bytes.length < offset + LENGTH_BYTES) return Number.POSITIVE_INFINITY;
  const length = bytes.readUInt32BE(offset);
  if (length > RECORD_BYTES_MAX) throw broken(`it has a record of ${length} bytes`);
  return offset + LENGTH_BYTES + length;
}

class SnapshotReader {
  readonly #tables = new Tables();
  readonly #tasks = this.#tables.taskLoader();
  #parts = NO_PARTS;
  #format = 0;
  #version: number | undefined;
  #rows = 0;
  #complete = false;

  read(record: SnapshotRecord): void {
    if (this.#complete) throw broken('it goes on after its end');
    if (this.#version === undefined) this.#readHeader(record);
    else if (record.trailer) this.#readTrailer(record.trailer.rows);
    else if (record.taskPage) this.#rows += this.#tasks.load(record.taskPage);
    else if (record.keptPart) this.#readPart(record.keptPart);
    else this.#readRow(record);
  }

  /** What was read, after some steps more. */
  *finish(): Generator<void, SnapshotContent> {
    if (this.#version === undefined || !this.#complete) throw broken('it has no end');
    if (this.#format > 1) yield* this.#tasks.finish();
    return { tables: this.#tables, version: this.#version, parts: this.#parts };
  }

  #readHeader({ header }: SnapshotRecord): void {
    if (!header) throw broken('it has no header');
    if (header.format < OLDEST_FORMAT || header.format > FORMAT_WITH_PARTS)
      throw broken(
        `it has format ${header.format}, and this version of Shoal reads formats ${OLDEST_FORMAT} to ${FORMAT_WITH_PARTS}`,
      );
    this.#format = header.format;
    this.#version = header.version;
  }

  #readRow(record: SnapshotRecord): void {
    const table = TABLES.find((each) => record[each]);
    if (table === undefined) throw broken('it has a record of no kind that this version of Shoal knows');
    const converter = converters[table] as Converter<unknown, unknown>;
    this.#tables.put(table, converter.fromWire(record[table]) as Rows[typeof table]);
    this.#rows++;
  }

  #readPart({ term, part }: SnapshotRecordKeptPart): void {
    if (!part) throw broken('it has a part of a transaction without the part');
    this.#parts = { term, parts: [...this.#parts.parts, ownPart(part)] };
    this.#rows++;
  }

  #readTrailer(rows: number): void {
    if (rows !== this.#rows) throw broken(`it should have ${rows} rows, and has ${this.#rows}`);
    this.#complete = true;
  }
}

function broken(what: string): ShoalError {
  return new ShoalError('INTERNAL', `snapshot of the store can't be read: ${what}`);
}
