import type { Disk, DiskFile } from '#manager/consensus/disk.ts';
import { type Random, randomInt } from '#proto/base/random.ts';

const SECTOR_BYTES = 512;

interface Write {
  readonly at: number;
  readonly bytes: Uint8Array;
}

interface Inode {
  durable: Uint8Array;
  current: Uint8Array;
  /** Since the last sync; a truncation counts as durable at once. */
  pending: Write[];
}

type NameChange = (names: Map<string, Inode>) => void;

/**
 * A disk in memory that forgets, when told to crash, any part of what was not synced: single sectors of writes, and
 * names from some point on.
 */
export class SimDisk implements Disk {
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  #changes: NameChange[] = [];
  readonly #directories = new Set<string>();
  #crashes = 0;
  /** What all files together may take. */
  roomBytes = Number.POSITIVE_INFINITY;
  /** Thrown by every write and sync while it is set. */
  failure: Error | undefined;
  /** Thrown by every rename while it is set. */
  renameFailure: Error | undefined;
  syncs = 0;
  bytesRead = 0;

  makeDirectory(path: string): void {
    for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1))
      this.#directories.add(path.slice(0, end));
  }

  list(path: string): readonly string[] {
    if (!this.#directories.has(path)) throw withCode('ENOENT', path);
    const prefix = `${path}/`;
    const names = [...this.#names.keys()].filter((name) => name.startsWith(prefix));
    return names
      .map((name) => name.slice(prefix.length))
      .filter((name) => !name.includes('/'))
      .sort();
  }

  open(path: string, how: 'read' | 'write' | 'create'): DiskFile {
    let inode = this.#names.get(path);
    if (how === 'create') {
      if (inode !== undefined) throw withCode('EEXIST', path);
      const created: Inode = { durable: new Uint8Array(), current: new Uint8Array(), pending: [] };
      this.#change((names) => void names.set(path, created));
      inode = created;
    }
    if (inode === undefined) throw withCode('ENOENT', path);
    return this.#handle(inode);
  }

  rename(from: string, to: string): void {
    const inode = this.#names.get(from);
    if (inode === undefined) throw withCode('ENOENT', from);
    if (this.renameFailure !== undefined) throw this.renameFailure;
    this.#change((names) => {
      names.delete(from);
      names.set(to, inode);
    });
  }

  remove(path: string): void {
    if (!this.#names.has(path)) throw withCode('ENOENT', path);
    this.#change((names) => void names.delete(path));
  }

  syncDirectory(_path: string): void {
    this.#durableNames = new Map(this.#names);
    this.#changes = [];
  }

  /** Power fails: what was not synced is lost, kept or torn as chance has it. Handles open now are dead. */
  crash(random: Random): void {
    this.#crashes += 1;
    for (const change of this.#changes.slice(0, randomInt(random, this.#changes.length + 1)))
      change(this.#durableNames);
    this.#names = new Map(this.#durableNames);
    this.#changes = [];
    for (const inode of new Set(this.#names.values())) tear(inode, random);
  }

  /** The bytes of a file, to look at or to damage; changes count as durable. */
  edit(path: string, change: (bytes: Uint8Array) => Uint8Array): void {
    const inode = this.#names.get(path);
    if (inode === undefined) throw withCode('ENOENT', path);
    inode.current = change(inode.current.slice());
    inode.durable = inode.current.slice();
    inode.pending = [];
  }

  #change(change: NameChange): void {
    change(this.#names);
    this.#changes.push(change);
  }

  #handle(inode: Inode): DiskFile {
    const born = this.#crashes;
    const alive = (): void => {
      if (born !== this.#crashes) throw new Error('this file handle belongs to a process that crashed');
    };
    return {
      size: () => inode.current.length,
      read: (into, at) => {
        const bytes = inode.current.subarray(at, at + into.length);
        into.set(bytes);
        this.bytesRead += bytes.length;
        return bytes.length;
      },
      write: (bytes, at) => {
        alive();
        this.#write(inode, bytes, at);
      },
      truncate: (bytes) => {
        alive();
        inode.current = inode.current.slice(0, bytes);
        inode.durable = inode.durable.slice(0, bytes);
        inode.pending = inode.pending
          .filter((write) => write.at < bytes)
          .map((write) => ({ at: write.at, bytes: write.bytes.subarray(0, bytes - write.at) }));
      },
      sync: () => {
        alive();
        if (this.failure !== undefined) throw this.failure;
        this.syncs += 1;
        for (const write of inode.pending) inode.durable = written(inode.durable, write);
        inode.pending = [];
      },
      close: () => undefined,
    };
  }

  #write(inode: Inode, bytes: Uint8Array, at: number): void {
    if (this.failure !== undefined) throw this.failure;
    const grows = Math.max(0, at + bytes.length - inode.current.length);
    if (grows > 0 && this.usedBytes + grows > this.roomBytes) throw withCode('ENOSPC', 'no space left');
    inode.pending.push({ at, bytes: new Uint8Array(bytes) });
    inode.current = written(inode.current, { at, bytes });
  }

  /** By all files together. */
  get usedBytes(): number {
    return [...this.#names.values()].reduce((sum, inode) => sum + inode.current.length, 0);
  }
}

function tear(inode: Inode, random: Random): void {
  const keep = [0, 0.5, 1][randomInt(random, 3)] as number;
  for (const write of inode.pending) {
    for (let from = 0; from < write.bytes.length; from += SECTOR_BYTES) {
      if (random.next() >= keep) continue;
      const bytes = write.bytes.subarray(from, from + SECTOR_BYTES);
      inode.durable = written(inode.durable, { at: write.at + from, bytes });
    }
  }
  inode.current = inode.durable.slice();
  inode.pending = [];
}

function written(content: Uint8Array, write: Write): Uint8Array {
  const end = write.at + write.bytes.length;
  const result = end > content.length ? new Uint8Array(end) : content;
  if (result !== content) result.set(content);
  result.set(write.bytes, write.at);
  return result;
}

/** An error as node:fs throws it. */
export function withCode(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code });
}
