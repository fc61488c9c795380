import { ShoalError } from '#proto/base/errors.ts';
import type { Random } from '#proto/base/random.ts';
import type { Disk, DiskFile } from './disk.ts';
import type { KeyRing } from './keys.ts';
import { release } from './release.ts';
import {
  alignUp,
  BLOCK_BYTES,
  damaged,
  decodeHeader,
  encodeHeader,
  type FileKind,
  newSalt,
  RECORD_HEADER_BYTES,
  type RecordLabel,
  Sealer,
  WRONG_KEY,
} from './sealed.ts';
import { decodeSnapshotInfo, encodeSnapshotInfo, type SnapshotInfo } from './wire.ts';

/*
 * Snapshots on disk: the header block, a record that says what the snapshot is, the pieces of its data, and an empty
 * last record without which the file is not whole. A snapshot is written under a temporary name and renamed when all
 * of it is durable, so that a name without suffix is always a whole one.
 */

export const SNAPSHOT: FileKind = { magic: 'SHOALSNP', name: 'Raft snapshot' };

const SUFFIX = '.snapshot';
const TEMPORARY = '.tmp';
/** Synced as it is written, a little at a time: one sync of it all would hold up the log. */
const SYNC_EVERY_BYTES = 1024 * 1024;
/** The most a piece may hold. */
export const PIECE_BYTES_MAX = 1024 * 1024;

export interface SnapshotsOpts {
  readonly directory: string;
  /** How many are kept, the newest included; until another number is said. */
  readonly keep: number;
}

export interface SnapshotsModules {
  readonly disk: Disk;
  readonly keys: KeyRing;
  readonly random: Random;
}

/** The files of whole snapshots in a directory, oldest first. */
export function snapshotPaths(disk: Disk, directory: string): string[] {
  const names = disk.list(directory).filter((name) => name.endsWith(SUFFIX));
  return names.map((name) => `${directory}/${name}`);
}

/** The snapshots of one state directory. */
export class Snapshots {
  readonly #opts: SnapshotsOpts;
  readonly #modules: SnapshotsModules;
  #keep: number;
  #latest: SnapshotInfo | undefined;
  #named = 0;
  /** Begun, and perhaps neither committed nor given up yet. */
  #writers: SnapshotWriter[] = [];

  /** Opens the directory; what a crash left half-written is removed. */
  constructor(opts: SnapshotsOpts, modules: SnapshotsModules) {
    this.#opts = opts;
    this.#keep = opts.keep;
    this.#modules = modules;
    modules.disk.makeDirectory(opts.directory);
    for (const name of modules.disk.list(opts.directory))
      if (name.endsWith(TEMPORARY)) modules.disk.remove(`${opts.directory}/${name}`);
    const newest = this.#paths().at(-1);
    if (newest === undefined) return;
    this.#latest = ownInfo(newest, modules);
  }

  /** The newest whole snapshot. */
  get latest(): SnapshotInfo | undefined {
    return this.#latest;
  }

  /** From the next one on, so many are kept, the newest included. */
  keep(count: number): void {
    this.#keep = count;
  }

  /** Starts writing a snapshot; it exists once commit() returned. */
  create(info: SnapshotInfo): SnapshotWriter {
    this.#named += 1;
    const temporary = `${this.#opts.directory}/${this.#named}${TEMPORARY}`;
    const writer = new SnapshotWriter(temporary, info, this.#modules, () => this.#install(temporary, info));
    this.#writers = [...this.#writers.filter(({ ended }) => !ended), writer];
    return writer;
  }

  /** The keys that snapshots are encrypted with, or are being written with. */
  get keyIds(): readonly number[] {
    const written = this.#paths().map((path) => this.#keyIdOf(path));
    return [...written, ...this.#writers.filter(({ ended }) => !ended).map(({ keyId }) => keyId)];
  }

  /** Encrypts the newest with the newest key, a piece at a time, and lets go of the others. */
  async reseal(pause: () => Promise<void>): Promise<void> {
    const info = this.#latest;
    if (info === undefined) return;
    const reader = this.read(info);
    try {
      if (reader.keyId !== this.#modules.keys.current.id) await this.#copy(reader, pause);
    } finally {
      reader.close();
    }
    for (const old of this.#paths().slice(0, -1)) this.#modules.disk.remove(old);
  }

  async #copy(reader: SnapshotReader, pause: () => Promise<void>): Promise<void> {
    const writer = this.create(reader.info);
    try {
      for (let piece = reader.next(); piece !== undefined; piece = reader.next()) {
        writer.write(piece);
        await pause();
      }
      writer.commit();
    } finally {
      writer.abort();
    }
  }

  #keyIdOf(path: string): number {
    const reader = new SnapshotReader(path, this.#modules);
    reader.close();
    return reader.keyId;
  }

  /** Opens a snapshot for reading; it stays readable when a newer one takes its place meanwhile. */
  read(info: Pick<SnapshotInfo, 'index' | 'term'>): SnapshotReader {
    return new SnapshotReader(`${this.#opts.directory}/${nameOf(info)}`, this.#modules);
  }

  #install(temporary: string, info: SnapshotInfo): void {
    const { disk } = this.#modules;
    disk.rename(temporary, `${this.#opts.directory}/${nameOf(info)}`);
    disk.syncDirectory(this.#opts.directory);
    if (this.#latest === undefined || this.#latest.index <= info.index) this.#latest = info;
    for (const old of this.#paths().slice(0, -this.#keep)) disk.remove(old);
  }

  #paths(): string[] {
    return snapshotPaths(this.#modules.disk, this.#opts.directory);
  }
}

function nameOf({ index, term }: Pick<SnapshotInfo, 'index' | 'term'>): string {
  return `${String(index).padStart(16, '0')}-${String(term).padStart(16, '0')}${SUFFIX}`;
}

/** A snapshot that is being written, piece by piece. After a failure only abort() is left. */
export class SnapshotWriter {
  readonly info: SnapshotInfo;
  /** What it is encrypted with. */
  readonly keyId: number;
  readonly #disk: Disk;
  readonly #path: string;
  readonly #file: DiskFile;
  readonly #sealer: Sealer;
  readonly #install: () => void;
  /** Sealed records on their way to the disk: one after the other, so that a large state leaves no garbage of its size. */
  #scratch = Buffer.alloc(0);
  #sequence = 0;
  #at = BLOCK_BYTES;
  #unsynced = 0;
  #bytes = 0;
  #sealed = false;
  #ended = false;

  constructor(path: string, info: SnapshotInfo, modules: SnapshotsModules, install: () => void) {
    const { disk, keys, random } = modules;
    this.info = info;
    this.keyId = keys.current.id;
    this.#disk = disk;
    this.#path = path;
    this.#install = install;
    const header = { number: info.index, firstSequence: 0, keyId: keys.current.id, salt: newSalt(random) };
    this.#sealer = new Sealer(SNAPSHOT, header, keys);
    this.#file = disk.open(path, 'create');
    this.#guarded(() => {
      this.#file.write(encodeHeader(SNAPSHOT, header), 0);
      this.#record(encodeSnapshotInfo(info), false);
    });
  }

  /** Committed or given up. */
  get ended(): boolean {
    return this.#ended;
  }

  /** How many bytes of data it has so far. */
  get bytes(): number {
    return this.#bytes;
  }

  write(piece: Uint8Array): void {
    for (let from = 0; from < piece.length; from += PIECE_BYTES_MAX)
      this.#guarded(() => this.#record(piece.subarray(from, from + PIECE_BYTES_MAX), false));
    this.#bytes += piece.length;
  }

  /** Writes the end: all of it is durable, and what is left to do takes no more room. */
  seal(): void {
    if (this.#sealed) return;
    this.#guarded(() => {
      this.#record(new Uint8Array(), true);
      this.#file.sync();
    });
    this.#file.close();
    this.#sealed = true;
  }

  /** Makes the snapshot durable and puts it in place; older ones than are kept go. */
  commit(): void {
    this.#refuseWhenEnded();
    this.seal();
    this.#install();
    this.#ended = true;
  }

  /** Gives it up, leaving nothing behind; harmless once it ended. */
  abort(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (!this.#sealed) this.#file.close();
    this.#disk.remove(this.#path);
  }

  #refuseWhenEnded(): void {
    if (this.#ended) throw new ShoalError('CANCELLED', 'writing this snapshot was given up');
  }

  #guarded(work: () => void): void {
    this.#refuseWhenEnded();
    try {
      work();
    } catch (error) {
      this.abort();
      throw error;
    }
  }

  #record(content: Uint8Array, last: boolean): void {
    const size = Sealer.sizeOf(content.length);
    if (this.#scratch.length < size) this.#scratch = Buffer.alloc(size);
    const bytes = this.#scratch.subarray(0, size);
    const label: RecordLabel = { sequence: this.#sequence, group: 0, last };
    this.#sealer.seal(bytes, 0, label, content);
    this.#file.write(bytes, this.#at);
    this.#sequence += 1;
    this.#at += bytes.length;
    this.#unsynced += bytes.length;
    if (this.#unsynced < SYNC_EVERY_BYTES) return;
    this.#file.sync();
    this.#unsynced = 0;
  }
}

/** A snapshot that is being read. Throws FAILED_PRECONDITION where it is damaged. */
export class SnapshotReader {
  readonly info: SnapshotInfo;
  /** What it is encrypted with. */
  readonly keyId: number;
  readonly #path: string;
  readonly #file: DiskFile;
  readonly #sealer: Sealer;
  #sequence = 0;
  #at = BLOCK_BYTES;

  constructor(path: string, modules: Pick<SnapshotsModules, 'disk' | 'keys'>) {
    this.#path = path;
    this.#file = modules.disk.open(path, 'read');
    try {
      const block = Buffer.alloc(BLOCK_BYTES);
      const header = decodeHeader(SNAPSHOT, path, block.subarray(0, this.#file.read(block, 0)));
      this.#sealer = new Sealer(SNAPSHOT, header, modules.keys);
      this.keyId = header.keyId;
      this.info = decodeSnapshotInfo(this.#record().content);
    } catch (error) {
      this.#file.close();
      throw error;
    }
  }

  /** The next piece of data; nothing after the last. */
  next(): Uint8Array | undefined {
    const { content, last } = this.#record();
    return last ? undefined : content;
  }

  /** Passes over data, and gives back what the piece in which it ends has beyond. */
  skip(bytes: number): Uint8Array {
    let left = bytes;
    while (left > 0) {
      const piece = this.next();
      if (piece === undefined) throw damaged(`${SNAPSHOT.name} ${this.#path} has less than ${bytes} bytes`);
      if (piece.length > left) return piece.subarray(left);
      left -= piece.length;
    }
    return new Uint8Array();
  }

  close(): void {
    this.#file.close();
  }

  #record(): { content: Buffer; last: boolean } {
    const head = Buffer.alloc(RECORD_HEADER_BYTES);
    this.#file.read(head, this.#at);
    const length = Math.min(Sealer.lengthIn(head), 2 * PIECE_BYTES_MAX);
    const bytes = Buffer.alloc(alignUp(RECORD_HEADER_BYTES + length, 8));
    const whole = bytes.subarray(0, this.#file.read(bytes, this.#at));
    const record = this.#sealer.find(whole, 0);
    if (record === undefined || record.sequence !== this.#sequence)
      throw damaged(`${SNAPSHOT.name} ${this.#path} is damaged at byte ${this.#at}`);
    this.#sequence += 1;
    this.#at += record.end;
    const content = this.#sealer.open(whole, record);
    release(bytes);
    return { content, last: record.last };
  }
}

/** The keys may be right, and the file another manager's all the same. */
function ownInfo(path: string, modules: SnapshotsModules): SnapshotInfo {
  try {
    const reader = new SnapshotReader(path, modules);
    reader.close();
    return reader.info;
  } catch (error) {
    if (!(error instanceof ShoalError && error.message.startsWith(WRONG_KEY))) throw error;
    throw new ShoalError(
      'FAILED_PRECONDITION',
      `${SNAPSHOT.name} ${path} is not this manager's, or keys.json is not: ${WRONG_KEY}. Nothing was changed. ` +
        'Put back the file that belongs to this manager',
      { cause: error },
    );
  }
}
