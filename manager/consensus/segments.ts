import type { Random } from '#proto/base/random.ts';
import { type Disk, type DiskFile, isDiskFull } from './disk.ts';
import type { KeyRing } from './keys.ts';
import { BLOCK_BYTES, encodeHeader, type FileHeader, type FileKind, newSalt } from './sealed.ts';

export const SEGMENT: FileKind = { magic: 'SHOALWAL', name: 'Raft log segment' };

const SUFFIX = '.wal';
const SPARE_PREFIX = 'spare-';
const ZEROS = Buffer.alloc(1024 * 1024);
/** A log that is collected gives back as many segments at once as a busy log soon takes. */
const SPARES_MAX = 4;
/** After the disk was full, this many calls of prepare() do nothing. */
const SKIPS_WHEN_FULL = 500;

/** The numbers of the segments in a directory, ascending. */
export function segmentNumbers(disk: Disk, directory: string): number[] {
  return disk
    .list(directory)
    .filter((name) => name.endsWith(SUFFIX))
    .map((name) => Number.parseInt(name, 10))
    .sort((a, b) => a - b);
}

export function segmentPath(directory: string, number: number): string {
  return `${directory}/${String(number).padStart(16, '0')}${SUFFIX}`;
}

export interface SegmentsOpts {
  readonly directory: string;
  /** What a segment takes on disk; one that must hold more takes more. */
  readonly segmentBytes: number;
}

export interface SegmentsModules {
  readonly disk: Disk;
  readonly keys: KeyRing;
  readonly random: Random;
}

/** A segment that is written to. */
export interface OpenSegment {
  readonly number: number;
  readonly path: string;
  readonly header: FileHeader;
  readonly file: DiskFile;
  readonly bytes: number;
}

/**
 * Makes segments out of blocks that were written before: a sync of such a block costs half of one into new blocks
 * (facts: a journal commit is saved). Old segments are kept as spares, and one is prepared ahead when there is none.
 */
export class Segments {
  readonly #opts: SegmentsOpts;
  readonly #modules: SegmentsModules;
  #spares: string[] = [];
  #named = 0;
  #skips = 0;
  #preparing: { readonly path: string; readonly file: DiskFile; done: number } | undefined;

  constructor(opts: SegmentsOpts, modules: SegmentsModules) {
    this.#opts = opts;
    this.#modules = modules;
    this.#adoptSpares();
  }

  /** Spares of an earlier run; what has another size was cut short by a crash, or was made for other options. */
  #adoptSpares(): void {
    const { disk } = this.#modules;
    for (const name of disk.list(this.#opts.directory)) {
      if (!name.startsWith(SPARE_PREFIX)) continue;
      const path = `${this.#opts.directory}/${name}`;
      this.#named = Math.max(this.#named, Number.parseInt(name.slice(SPARE_PREFIX.length), 10));
      const file = disk.open(path, 'read');
      const whole = file.size() === this.#opts.segmentBytes;
      file.close();
      if (whole && this.#spares.length < SPARES_MAX) this.#spares.push(path);
      else disk.remove(path);
    }
  }

  /**
   * A new segment of at least `bytes`, in place under its name, its header durable. When the disk is full it throws and
   * leaves nothing behind.
   */
  create(number: number, firstSequence: number, bytes: number): OpenSegment {
    const { disk, keys, random } = this.#modules;
    const wanted = Math.max(bytes, this.#opts.segmentBytes);
    const source = wanted === this.#opts.segmentBytes ? this.#takeSpare() : this.#make(wanted);
    const header = { number, firstSequence, keyId: keys.current.id, salt: newSalt(random) };
    const path = segmentPath(this.#opts.directory, number);
    const file = disk.open(source, 'write');
    try {
      file.write(encodeHeader(SEGMENT, header), 0);
      file.sync();
      disk.rename(source, path);
      disk.syncDirectory(this.#opts.directory);
    } catch (error) {
      file.close();
      throw error;
    }
    return { number, path, header, file, bytes: wanted };
  }

  /** Takes a segment that is needed no more: kept for reuse when it has the usual size, else removed. */
  retire(number: number): void {
    const { disk } = this.#modules;
    const path = segmentPath(this.#opts.directory, number);
    const file = disk.open(path, 'read');
    const usual = file.size() === this.#opts.segmentBytes;
    file.close();
    if (!usual || this.#spares.length >= SPARES_MAX) return disk.remove(path);
    const spare = this.#nextSpare();
    disk.rename(path, spare);
    this.#spares.push(spare);
  }

  /** Does a slice of the work of having a spare; called often, it returns soon. A full disk is no failure here. */
  prepare(): void {
    if (this.#spares.length > 0) return;
    if (this.#skips > 0) {
      this.#skips -= 1;
      return;
    }
    try {
      this.#prepareSlice();
    } catch (error) {
      this.#dropPrepared();
      if (!isDiskFull(error)) throw error;
      this.#skips = SKIPS_WHEN_FULL;
    }
  }

  close(): void {
    this.#dropPrepared();
  }

  #prepareSlice(): void {
    const { disk } = this.#modules;
    if (this.#preparing === undefined) {
      const path = this.#nextSpare();
      this.#preparing = { path, file: disk.open(path, 'create'), done: 0 };
    }
    const { path, file, done } = this.#preparing;
    const slice = ZEROS.subarray(0, Math.min(ZEROS.length, this.#opts.segmentBytes - done));
    file.write(slice, done);
    file.sync();
    this.#preparing.done += slice.length;
    if (this.#preparing.done < this.#opts.segmentBytes) return;
    file.close();
    this.#preparing = undefined;
    this.#spares.push(path);
  }

  #dropPrepared(): void {
    if (this.#preparing === undefined) return;
    const { path, file } = this.#preparing;
    this.#preparing = undefined;
    file.close();
    this.#modules.disk.remove(path);
  }

  #takeSpare(): string {
    const spare = this.#spares.shift();
    if (spare !== undefined) return spare;
    this.#dropPrepared();
    return this.#make(this.#opts.segmentBytes);
  }

  #make(bytes: number): string {
    const { disk } = this.#modules;
    const path = this.#nextSpare();
    const file = disk.open(path, 'create');
    try {
      for (let at = 0; at < bytes; at += ZEROS.length)
        file.write(ZEROS.subarray(0, Math.min(ZEROS.length, bytes - at)), at);
      file.sync();
      file.close();
    } catch (error) {
      file.close();
      disk.remove(path);
      throw error;
    }
    return path;
  }

  #nextSpare(): string {
    this.#named += 1;
    return `${this.#opts.directory}/${SPARE_PREFIX}${this.#named}`;
  }
}

/** Room for content that starts on a block of its own, behind the header block. */
export const SEGMENT_START = BLOCK_BYTES;
