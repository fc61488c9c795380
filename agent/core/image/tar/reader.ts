import type { EntryType, TarSink } from './entry.ts';
import { BLOCK, invalid, numberAt, octalAt, textAt, untilZero } from './fields.ts';
import { pairsBehind, type SparseFile, type SparseRecords, sparseIn, takeSparseRecord } from './sparse.ts';

/*
 * Reads tar archives (POSIX.1-2001 "pax", ustar, GNU long names, large numbers and sparse files) fed to it in pieces of any size.
 * Nothing is assumed of what is read: every length is checked against a bound before anything is kept.
 */

/** Extended headers are held whole: names, and attributes of at most 64 KiB each. */
const EXTENDED_BYTES_MAX = 1024 * 1024;
/** Of one entry: a long name, a long link, and one with all else. */
const EXTENDED_MAX = 8;
const ID_MAX = 2 ** 32 - 1;

const TYPES: Readonly<Record<string, EntryType>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
};

interface Extended {
  name?: string;
  linkName?: string;
  size?: number;
  uid?: number;
  gid?: number;
  mtime?: number;
  xattrs: Map<string, Buffer>;
  sparse?: SparseRecords;
  sparseName?: string;
}

type Collecting = 'pax' | 'name' | 'link' | 'ignored';

const COLLECTS: Readonly<Record<string, Collecting>> = { x: 'pax', g: 'ignored', L: 'name', K: 'link' };

export class TarReader {
  readonly #sink: TarSink;
  readonly #block = Buffer.alloc(BLOCK);
  #blockFilled = 0;
  #left = 0;
  #padding = 0;
  #collecting: Collecting | undefined;
  #collected: Buffer[] = [];
  #extended: Extended = { xattrs: new Map() };
  #inEntry = false;
  #sparse: SparseFile | undefined;
  /** Size of what follows the blocks of a sparse file's map. */
  #behindMap: number | undefined;
  #zeroBlocks = 0;
  #extendedSeen = 0;

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  /** Takes the next bytes. Throws INVALID_ARGUMENT on what is no tar archive; whatever follows its end is ignored. */
  write(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && this.#zeroBlocks < 2) {
      if (this.#left > 0) at += this.#content(chunk, at);
      else if (this.#padding > 0) at += this.#skipPadding(chunk.length - at);
      else at += this.#header(chunk, at);
    }
  }

  /**
   * Says that nothing follows. Throws when the archive breaks off in the middle. Its end may be missing, and what fills the
   * last block as well: docker's client leaves both out when it adds a Dockerfile from outside to a context.
   */
  end(): void {
    const isWithin = this.#left > 0 || this.#collecting !== undefined || this.#behindMap !== undefined;
    if (this.#blockFilled > 0 || isWithin) {
      throw invalid('unexpected end of the archive');
    }
  }

  #content(chunk: Buffer, at: number): number {
    const length = Math.min(this.#left, chunk.length - at);
    const bytes = chunk.subarray(at, at + length);
    if (this.#collecting === undefined && this.#sparse) this.#sparse.data(bytes, this.#sink);
    else if (this.#collecting === undefined) this.#sink.data(bytes);
    else if (this.#collecting !== 'ignored') this.#collected.push(Buffer.from(bytes));
    this.#left -= length;
    if (this.#left === 0) this.#endOfContent();
    return length;
  }

  #skipPadding(available: number): number {
    const length = Math.min(this.#padding, available);
    this.#padding -= length;
    return length;
  }

  #header(chunk: Buffer, at: number): number {
    const length = Math.min(BLOCK - this.#blockFilled, chunk.length - at);
    chunk.copy(this.#block, this.#blockFilled, at, at + length);
    this.#blockFilled += length;
    if (this.#blockFilled < BLOCK) return length;
    this.#blockFilled = 0;
    if (this.#behindMap !== undefined) this.#moreMap(this.#block, this.#behindMap);
    else if (isZero(this.#block)) this.#zeroBlocks++;
    else this.#begin(this.#block);
    return length;
  }

  #begin(block: Buffer): void {
    this.#zeroBlocks = 0;
    checkSum(block);
    const flag = String.fromCharCode(block[156] as number);
    const size = numberAt(block, 124, 12, 'size');
    const collecting = COLLECTS[flag];
    if (collecting === undefined) return this.#beginEntry(block, flag, size);
    if (size > EXTENDED_BYTES_MAX) throw invalid(`extended header of ${size} bytes`);
    this.#extendedSeen += 1;
    if (this.#extendedSeen > EXTENDED_MAX) throw invalid('too many extended headers for one entry');
    this.#collecting = collecting;
    this.#expect(size);
  }

  #beginEntry(block: Buffer, flag: string, headerSize: number): void {
    const extended = this.#extended;
    this.#extended = { xattrs: new Map() };
    this.#extendedSeen = 0;
    const size = extended.size ?? headerSize;
    const rawName = extended.sparseName ?? extended.name ?? nameIn(block);
    const type = rawName.endsWith('/') && TYPES[flag] === 'file' ? 'directory' : TYPES[flag];
    if (type === undefined) {
      this.#collecting = 'ignored';
      return this.#expect(size);
    }
    const hasContent = type === 'file';
    const sparse = hasContent ? sparseIn(block, flag, extended.sparse) : undefined;
    this.#sparse = sparse?.file;
    this.#inEntry = true;
    this.#sink.entry({
      name: rawName.replace(/\/+$/, ''),
      type,
      mode: numberAt(block, 100, 8, 'mode') & 0o7777,
      uid: idOf(extended.uid ?? numberAt(block, 108, 8, 'uid'), 'uid'),
      gid: idOf(extended.gid ?? numberAt(block, 116, 8, 'gid'), 'gid'),
      size: hasContent ? (sparse?.file.realSize ?? size) : 0,
      ...(sparse && { storedSize: size }),
      mtime: extended.mtime ?? numberAt(block, 136, 12, 'mtime', true),
      linkName: extended.linkName ?? textAt(block, 157, 100),
      major: numberAt(block, 329, 8, 'device'),
      minor: numberAt(block, 337, 8, 'device'),
      xattrs: extended.xattrs,
    });
    if (sparse?.isMore) this.#behindMap = size;
    // A link's size tells of its target: no content follows.
    else this.#expect(hasContent ? size : 0);
  }

  /** A block of a sparse file's map, behind its header. */
  #moreMap(block: Buffer, size: number): void {
    const { numbers, isMore } = pairsBehind(block);
    this.#sparse?.extend(numbers);
    if (isMore) return;
    this.#behindMap = undefined;
    this.#expect(size);
  }

  #expect(size: number): void {
    this.#left = size;
    this.#padding = (BLOCK - (size % BLOCK)) % BLOCK;
    if (size === 0) this.#endOfContent();
  }

  #endOfContent(): void {
    const collecting = this.#collecting;
    const collected = Buffer.concat(this.#collected);
    this.#collecting = undefined;
    this.#collected = [];
    if (collecting === 'name') this.#extended.name = untilZero(collected);
    else if (collecting === 'link') this.#extended.linkName = untilZero(collected);
    else if (collecting === 'pax') readPax(collected, this.#extended);
    else if (this.#inEntry) {
      this.#inEntry = false;
      this.#sparse?.end(this.#sink);
      this.#sparse = undefined;
      this.#sink.endEntry();
    }
  }
}

/** Whether an archive may begin with these 512 bytes. */
export function isTarHeader(block: Buffer): boolean {
  return block.length === BLOCK && !isZero(block) && octalAt(block, 148, 8) === sumOf(block);
}

/** Records of `length key=value\n`, the length counting itself (POSIX pax, "Extended Header"). */
function readPax(bytes: Buffer, into: Extended): void {
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const length = space < 0 ? Number.NaN : Number(bytes.toString('latin1', at, space));
    const end = at + length;
    const equals = bytes.indexOf(0x3d, space);
    const whole = Number.isInteger(length) && end <= bytes.length && equals > space && equals < end;
    if (!whole || bytes[end - 1] !== 0x0a) throw invalid('malformed extended header');
    takeRecord(bytes.toString('latin1', space + 1, equals), bytes.subarray(equals + 1, end - 1), into);
    at = end;
  }
}

const XATTR_PREFIX = 'SCHILY.xattr.';
const SPARSE_PREFIX = 'GNU.sparse.';

function takeRecord(key: string, value: Buffer, into: Extended): void {
  if (key.startsWith(XATTR_PREFIX)) {
    into.xattrs.set(key.slice(XATTR_PREFIX.length), Buffer.from(value));
    return;
  }
  const text = value.toString('latin1');
  if (key.startsWith(SPARSE_PREFIX)) return takeSparse(key.slice(SPARSE_PREFIX.length), text, into);
  if (key === 'path') into.name = nonZero(text, key);
  else if (key === 'linkpath') into.linkName = nonZero(text, key);
  else if (key === 'size') into.size = decimal(text, key);
  else if (key === 'uid') into.uid = decimal(text, key);
  else if (key === 'gid') into.gid = decimal(text, key);
  else if (key === 'mtime') into.mtime = fraction(text, key);
}

/** A sparse file's own name is here; the other one is for those who unpack it as it is. */
function takeSparse(key: string, text: string, into: Extended): void {
  if (key === 'name') into.sparseName = nonZero(text, key);
  into.sparse ??= { numbers: [] };
  takeSparseRecord(into.sparse, key, text);
}

/** Names end at a zero byte everywhere else: none may be within. */
function nonZero(text: string, key: string): string {
  if (text.includes('\0')) throw invalid(`extended header: ${key} has a zero byte`);
  return text;
}

function idOf(value: number, what: string): number {
  if (value > ID_MAX) throw invalid(`${what} is out of range`);
  return value;
}

function decimal(text: string, key: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw invalid(`extended header: ${key} is no number`);
  return value;
}

function fraction(text: string, key: string): number {
  if (!/^-?\d+(\.\d*)?$/.test(text)) throw invalid(`extended header: ${key} is no number`);
  return Number(text);
}

function nameIn(block: Buffer): string {
  const name = textAt(block, 0, 100);
  const isUstar = block.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = isUstar ? textAt(block, 345, 155) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

function checkSum(block: Buffer): void {
  if (octalAt(block, 148, 8) !== sumOf(block)) throw invalid('invalid tar header');
}

/** Of all bytes, those of the sum itself taken for blanks. */
function sumOf(block: Buffer): number {
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 0x20 : (block[i] as number);
  return sum;
}

const ZERO = Buffer.alloc(BLOCK);

function isZero(block: Buffer): boolean {
  return block[0] === 0 && block.equals(ZERO);
}
