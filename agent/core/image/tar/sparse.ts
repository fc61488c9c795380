import type { ShoalError } from '#proto/base/errors.ts';
import type { TarSink } from './entry.ts';
import { BLOCK, invalid, numberAt } from './fields.ts';

/*
 * Files of which an archive leaves out what is zero, in GNU tar's formats (GNU tar manual, "Storing Sparse Files"): the
 * map in the header and in blocks behind it (type S), in extended headers (PAX 0.0, 0.1), before the content (PAX 1.0).
 */

/** Pieces of content in one file. */
const FRAGMENTS_MAX = 100_000;
/** A number in a map has no more digits, and its end. */
const DIGITS_MAX = 20;

/** Where a header of type S has the first pairs of its map, whether more follow, and how large the file is. */
const OLD_HEADER = { pairsAt: 386, pairs: 4, isMoreAt: 482, realSizeAt: 483 } as const;
/** In a block that follows. */
const PAIRS_BEHIND = 21;
/** Bytes of an offset and a length. */
const PAIR = 24;

/** A part of a file that the archive has. */
interface Fragment {
  readonly offset: number;
  readonly length: number;
}

/** What extended headers say of a sparse file. */
export interface SparseRecords {
  major?: string;
  minor?: string;
  realSize?: number;
  /** Offsets and lengths by turns. */
  readonly numbers: number[];
}

/** Takes a record `GNU.sparse.KEY` of an extended header; the name is somebody else's business. */
export function takeSparseRecord(into: SparseRecords, key: string, text: string): void {
  if (key === 'major') into.major = text;
  else if (key === 'minor') into.minor = text;
  else if (key === 'size' || key === 'realsize') into.realSize = numberOf(text);
  else if (key === 'offset' || key === 'numbytes') takeNumber(into.numbers, text);
  else if (key === 'map') for (const part of text.split(',')) takeNumber(into.numbers, part);
}

/** A file whose map may go on in the blocks behind its header. */
export interface SparseStart {
  readonly file: SparseFile;
  readonly isMore: boolean;
}

/** What a file's header and extended headers say of holes; undefined when there are none. */
export function sparseIn(
  block: Buffer,
  flag: string,
  records: SparseRecords | undefined,
): SparseStart | undefined {
  if (flag !== 'S') return records && { file: sparseOf(records), isMore: false };
  const { pairsAt: at, pairs, isMoreAt, realSizeAt } = OLD_HEADER;
  const realSize = numberAt(block, realSizeAt, 12, 'size');
  const file = new SparseFile(realSize, { numbers: pairsAt(block, at, pairs), mapIn: 'header' });
  return { file, isMore: block[isMoreAt] !== 0 };
}

/** A block of a map behind a header. */
export function pairsBehind(block: Buffer): { readonly numbers: number[]; readonly isMore: boolean } {
  return { numbers: pairsAt(block, 0, PAIRS_BEHIND), isMore: block[PAIRS_BEHIND * PAIR] !== 0 };
}

/** A sparse file of these records. Its map is complete, or comes with the content. */
function sparseOf({ major, minor, realSize, numbers }: SparseRecords): SparseFile {
  if (realSize === undefined) throw invalid('sparse file without its size');
  if (major === undefined || major === '0') return new SparseFile(realSize, { numbers, mapIn: 'header' });
  if (major === '1' && minor === '0') return new SparseFile(realSize, { numbers: [], mapIn: 'content' });
  throw invalid(`sparse files of version ${major}.${minor ?? ''} are not supported`);
}

export interface SparseMap {
  readonly numbers: number[];
  readonly mapIn: 'header' | 'content';
}

/** Puts what an archive has of a file where it belongs, with holes between. */
export class SparseFile {
  readonly realSize: number;
  readonly #numbers: number[];
  #fragments: Fragment[] | undefined;
  #textMap: TextMap | undefined;
  #at = 0;
  #index = 0;
  /** Of the fragment that is being read. */
  #done = 0;

  constructor(realSize: number, { numbers, mapIn }: SparseMap) {
    this.realSize = realSize;
    this.#numbers = numbers;
    if (mapIn === 'content') this.#textMap = new TextMap();
  }

  /** More of the map, as blocks between header and content have it: numbers, offset and length by turns. */
  extend(numbers: readonly number[]): void {
    for (const number of numbers) checked(this.#numbers).push(number);
  }

  /** The next of what the archive has. */
  data(bytes: Buffer, sink: TarSink): void {
    let rest = bytes;
    if (this.#textMap) {
      rest = bytes.subarray(this.#textMap.take(bytes));
      if (!this.#textMap.numbers) return;
      this.#numbers.push(...this.#textMap.numbers);
      this.#textMap = undefined;
    }
    while (rest.length > 0) rest = rest.subarray(this.#piece(rest, sink));
  }

  /** Nothing follows. Throws when that is not what the map says. */
  end(sink: TarSink): void {
    if (this.#textMap) throw invalid('sparse file without its map');
    const fragments = this.#map();
    while (fragments[this.#index]?.length === 0) this.#index += 1;
    if (this.#index < fragments.length) throw invalid('sparse file with less content than its map says');
    this.#hole(this.realSize, sink);
  }

  /** How much of these bytes one fragment takes. */
  #piece(bytes: Buffer, sink: TarSink): number {
    const fragments = this.#map();
    while (fragments[this.#index]?.length === 0) this.#index += 1;
    const fragment = fragments[this.#index];
    if (!fragment) throw invalid('sparse file with more content than its map says');
    this.#hole(fragment.offset, sink);
    const length = Math.min(bytes.length, fragment.length - this.#done);
    sink.data(bytes.subarray(0, length));
    this.#at += length;
    this.#done += length;
    if (this.#done === fragment.length) {
      this.#index += 1;
      this.#done = 0;
    }
    return length;
  }

  /** Up to there is nothing, unless a fragment has begun. */
  #hole(until: number, sink: TarSink): void {
    if (this.#done > 0 || until <= this.#at) return;
    sink.hole(until - this.#at);
    this.#at = until;
  }

  #map(): readonly Fragment[] {
    this.#fragments ??= fragmentsOf(this.#numbers, this.realSize);
    return this.#fragments;
  }
}

/** The numbers at the beginning of the content: how many pairs, then the pairs, one number a line, filled up to a block. */
class TextMap {
  /** Once all are here. */
  numbers: number[] | undefined;
  readonly #read: number[] = [];
  #digits = '';
  #bytes = 0;

  /** Takes what belongs to the map; says how many bytes that is. */
  take(bytes: Buffer): number {
    let at = 0;
    for (; at < bytes.length && !this.numbers; at++) this.#byte(bytes[at] as number);
    return at;
  }

  #byte(byte: number): void {
    this.#bytes += 1;
    if (!this.#isComplete) this.#character(String.fromCharCode(byte));
    if (this.#isComplete && this.#bytes % BLOCK === 0) this.numbers = this.#read.slice(1);
  }

  get #isComplete(): boolean {
    const [pairs] = this.#read;
    return pairs !== undefined && this.#read.length === 1 + 2 * pairs;
  }

  #character(character: string): void {
    if (character !== '\n') {
      this.#digits += character;
      if (this.#digits.length > DIGITS_MAX) throw invalid('malformed map of a sparse file');
      return;
    }
    const number = numberOf(this.#digits);
    if (this.#read.length === 0 && number > FRAGMENTS_MAX) throw tooMany();
    this.#read.push(number);
    this.#digits = '';
  }
}

/** Pairs of an offset and a length; the first empty one is the end. */
function pairsAt(block: Buffer, at: number, count: number): number[] {
  const numbers: number[] = [];
  for (let index = 0; index < count; index++) {
    const from = at + index * PAIR;
    if (block[from] === 0) break;
    numbers.push(numberAt(block, from, 12, 'offset'), numberAt(block, from + 12, 12, 'size'));
  }
  return numbers;
}

/** Pairs, in order and apart, within the file. */
function fragmentsOf(numbers: readonly number[], realSize: number): Fragment[] {
  if (numbers.length % 2 !== 0) throw invalid('malformed map of a sparse file');
  const fragments: Fragment[] = [];
  let end = 0;
  for (let at = 0; at < numbers.length; at += 2) {
    const [offset = 0, length = 0] = numbers.slice(at, at + 2);
    if (offset < end || offset + length > realSize) throw invalid('sparse file with parts that overlap');
    end = offset + length;
    fragments.push({ offset, length });
  }
  return fragments;
}

function takeNumber(into: number[], text: string): void {
  checked(into).push(numberOf(text));
}

function checked(numbers: number[]): number[] {
  if (numbers.length >= 2 * FRAGMENTS_MAX) throw tooMany();
  return numbers;
}

function numberOf(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw invalid('malformed map of a sparse file');
  return value;
}

function tooMany(): ShoalError {
  return invalid(`sparse file of more than ${FRAGMENTS_MAX} parts`);
}
