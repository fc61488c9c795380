import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { DirectFile } from './direct-file.ts';

/*
 * The disk as consensus uses it: synchronous, because the loop that calls it does nothing but Raft and a call through
 * the thread pool costs more than the sync itself. A simulated disk satisfies the same interface.
 */

/** One open file. Offsets and counts are bytes. */
export interface DiskFile {
  size(): number;
  /** Reads up to `into.length` bytes and says how many there were. */
  read(into: Uint8Array, at: number): number;
  /** Writes all of `bytes` or throws; durable only after sync(). */
  write(bytes: Uint8Array, at: number): void;
  /**
   * Writes all of `bytes`, whole blocks into blocks that are there, durable on return. False when this file or disk has
   * no such writes: then it is as if nothing had been tried.
   */
  writeThrough?(bytes: Uint8Array, at: number): boolean;
  truncate(bytes: number): void;
  /** Returns once everything written is durable. After a failure nothing is known about what was written. */
  sync(): void;
  close(): void;
}

export interface Disk {
  /** Makes a directory and those above it; harmless when it is there. */
  makeDirectory(path: string): void;
  /** The names in a directory, sorted. */
  list(path: string): readonly string[];
  /** `create` makes the file, readable by its owner alone, and fails when it is there. */
  open(path: string, how: 'read' | 'write' | 'create'): DiskFile;
  rename(from: string, to: string): void;
  remove(path: string): void;
  /** Makes the names in a directory durable: what was created, renamed, removed. */
  syncDirectory(path: string): void;
}

const FLAGS = { read: 'r', write: 'r+', create: 'wx+' } as const;
const OWNER_ONLY = 0o600;

/** The machine's own disk. */
export const machineDisk: Disk = {
  makeDirectory: (path) => void mkdirSync(path, { recursive: true, mode: 0o700 }),
  list: (path) => readdirSync(path).sort(),
  open: (path, how) => new MachineFile(openSync(path, FLAGS[how], OWNER_ONLY)),
  rename: renameSync,
  remove: (path) => rmSync(path),
  syncDirectory(path) {
    const handle = openSync(path, 'r');
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  },
};

class MachineFile implements DiskFile {
  readonly #handle: number;
  /** Made when it is first asked for; null where there is none. */
  #direct: DirectFile | null | undefined;

  constructor(handle: number) {
    this.#handle = handle;
  }

  size(): number {
    return fstatSync(this.#handle).size;
  }

  read(into: Uint8Array, at: number): number {
    let done = 0;
    while (done < into.length) {
      const count = readSync(this.#handle, into, done, into.length - done, at + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  write(bytes: Uint8Array, at: number): void {
    let done = 0;
    while (done < bytes.length) done += writeSync(this.#handle, bytes, done, bytes.length - done, at + done);
  }

  writeThrough(bytes: Uint8Array, at: number): boolean {
    if (this.#direct === undefined) this.#direct = DirectFile.of(this.#handle) ?? null;
    return this.#direct?.write(bytes, at) ?? false;
  }

  truncate(bytes: number): void {
    ftruncateSync(this.#handle, bytes);
  }

  sync(): void {
    fdatasyncSync(this.#handle);
  }

  close(): void {
    this.#direct?.close();
    closeSync(this.#handle);
  }
}

/** Whether a write failed for want of room: the one disk failure that passes by itself. */
export function isDiskFull(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** The whole content of a file. */
export function readWhole(disk: Disk, path: string): Buffer {
  const file = disk.open(path, 'read');
  try {
    const bytes = Buffer.alloc(file.size());
    return bytes.subarray(0, file.read(bytes, 0));
  } finally {
    file.close();
  }
}

/** Puts a file in place whole or not at all, durable on return. */
export function writeAtomically(disk: Disk, directory: string, name: string, bytes: Uint8Array): void {
  const temporary = `${directory}/${name}.tmp`;
  if (disk.list(directory).includes(`${name}.tmp`)) disk.remove(temporary);
  const file = disk.open(temporary, 'create');
  try {
    file.write(bytes, 0);
    file.sync();
  } finally {
    file.close();
  }
  disk.rename(temporary, `${directory}/${name}`);
  disk.syncDirectory(directory);
}
