import { watch } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { LogOpts, LogRecord } from '../engine.ts';
import { LineCutter, nanosecondsOf, type ParsedRecord, parseRecord } from './format.ts';

const PIECE_BYTES = 64 * 1024;
/** A tail within this much of the end of the newest file is found without reading all of it. */
const TAIL_BYTES = 1024 * 1024;

/**
 * The output that was kept, oldest first, through all files that rotation left. With `follow`, also what comes later,
 * until the `ended` signal says that there will be no more, or the caller's own signal aborts.
 */
export async function* readLog(
  path: string,
  opts: LogOpts,
  ended: AbortSignal,
  signal: AbortSignal,
): AsyncGenerator<LogRecord> {
  const start = await startOf(await logFiles(path), opts);
  const wanted = chooser(opts);
  let { skip } = start;
  const skipping = (record: ParsedRecord): boolean => {
    if (skip === 0) return false;
    if (record.full && isOfStream(record, opts)) skip -= 1;
    return true;
  };
  const newest = start.files.length - 1;
  for (const [index, file] of start.files.entries()) {
    const offset = index === newest ? start.offset : 0;
    const records =
      opts.follow && index === newest
        ? followed(file, offset, ended, signal)
        : fileRecords(file, offset, signal);
    for await (const record of records) {
      if (isPast(record, opts)) return;
      if (!skipping(record) && wanted(record)) yield record;
    }
  }
}

/** Existing files of a log, oldest first: `log.2`, `log.1`, `log`. */
async function logFiles(path: string): Promise<string[]> {
  const name = basename(path);
  const rotated = (await readdir(dirname(path)).catch(() => []))
    .filter((entry) => entry.startsWith(`${name}.`) && /^\d+$/.test(entry.slice(name.length + 1)))
    .sort((a, b) => Number(b.slice(name.length + 1)) - Number(a.slice(name.length + 1)));
  return [...rotated.map((entry) => join(dirname(path), entry)), path];
}

function isOfStream({ stream }: LogRecord, opts: LogOpts): boolean {
  return stream === 'stdout' ? opts.stdout : opts.stderr;
}

function chooser(opts: LogOpts): (record: LogRecord) => boolean {
  const { sinceNs } = opts;
  return (record) =>
    isOfStream(record, opts) && (sinceNs === undefined || nanosecondsOf(record.at) >= sinceNs);
}

function isPast({ at }: LogRecord, { untilNs }: LogOpts): boolean {
  return untilNs !== undefined && nanosecondsOf(at) > untilNs;
}

/** Where to begin reading: files, how far into the newest, and how many lines to leave out after that. */
interface Start {
  readonly files: readonly string[];
  readonly offset: number;
  readonly skip: number;
}

async function startOf(files: readonly string[], opts: LogOpts): Promise<Start> {
  const { tail } = opts;
  if (tail === undefined) return { files, offset: 0, skip: 0 };
  const newest = files.slice(-1);
  const size = (await stat(newest[0] as string).catch(() => undefined))?.size ?? 0;
  const offset = Math.max(0, size - TAIL_BYTES);
  const near = await countLines(newest, offset, opts);
  // The first line read may be torn: it is whole only at the start of the file.
  if (near > tail) return { files: newest, offset, skip: near - tail };
  return { files, offset: 0, skip: Math.max(0, (await countLines(files, 0, opts)) - tail) };
}

async function countLines(files: readonly string[], offset: number, opts: LogOpts): Promise<number> {
  let total = 0;
  // What was said last need not have ended its line.
  const unfinished = new Set<LogRecord['stream']>();
  for (const file of files)
    for await (const record of fileRecords(file, offset, undefined)) {
      if (!isOfStream(record, opts)) continue;
      if (record.full) total += 1;
      if (record.full) unfinished.delete(record.stream);
      else unfinished.add(record.stream);
    }
  return total + unfinished.size;
}

async function* fileRecords(
  path: string,
  offset: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<ParsedRecord> {
  const file = await openIfThere(path, offset);
  if (file === undefined) return;
  try {
    yield* file.records(signal);
  } finally {
    await file.close();
  }
}

/** One file of a log, and how far it has been read. */
class LogFile {
  readonly #handle: FileHandle;
  readonly #cutter = new LineCutter();
  #position: number;

  constructor(handle: FileHandle, position: number) {
    this.#handle = handle;
    this.#position = position;
  }

  /** Everything from where it was read last up to its present end. */
  async *records(signal: AbortSignal | undefined): AsyncGenerator<ParsedRecord> {
    while (!signal?.aborted) {
      const piece = Buffer.allocUnsafe(PIECE_BYTES);
      const { bytesRead } = await this.#handle.read(piece, 0, PIECE_BYTES, this.#position);
      if (bytesRead === 0) return;
      this.#position += bytesRead;
      for (const line of this.#cutter.push(piece.subarray(0, bytesRead))) {
        const record = parseRecord(line);
        if (record) yield record;
      }
    }
  }

  /** Another file has taken its name. */
  async wasReplaced(path: string): Promise<boolean> {
    const [now, own] = await Promise.all([stat(path).catch(() => undefined), this.#handle.stat()]);
    return now !== undefined && now.ino !== own.ino;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

async function openIfThere(path: string, offset: number): Promise<LogFile | undefined> {
  try {
    return new LogFile(await open(path, 'r'), offset);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A log as it grows, through rotations. */
async function* followed(
  path: string,
  offset: number,
  ended: AbortSignal,
  signal: AbortSignal,
): AsyncGenerator<ParsedRecord> {
  using changes = new Changes(dirname(path), AbortSignal.any([ended, signal]));
  let file = await openIfThere(path, offset);
  try {
    while (!signal.aborted) {
      const last = ended.aborted;
      if (file) yield* file.records(signal);
      if (file === undefined || (await file.wasReplaced(path))) {
        // Whoever writes had moved on before the new file was there: what the old one has now is all.
        if (file) yield* file.records(signal);
        await file?.close();
        file = await openIfThere(path, 0);
        if (file) continue;
      }
      if (last) return;
      await changes.next();
    }
  } finally {
    await file?.close();
  }
}

/** Says when something in a folder has changed since it was asked last, or the signal has aborted. */
class Changes implements Disposable {
  readonly #watcher: ReturnType<typeof watch>;
  readonly #signal: AbortSignal;
  readonly #onAbort = (): void => this.#note();
  #changed = false;
  #wake: () => void = () => undefined;

  constructor(folder: string, signal: AbortSignal) {
    this.#signal = signal;
    this.#watcher = watch(folder, () => this.#note());
    this.#watcher.on('error', () => this.#note());
    signal.addEventListener('abort', this.#onAbort);
    if (signal.aborted) this.#changed = true;
  }

  #note(): void {
    this.#changed = true;
    this.#wake();
  }

  async next(): Promise<void> {
    if (!this.#changed)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    this.#changed = false;
  }

  [Symbol.dispose](): void {
    this.#watcher.close();
    this.#signal.removeEventListener('abort', this.#onAbort);
  }
}
