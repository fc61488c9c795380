import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';

/*
 * Writes that are durable on return, past the page cache: one call in place of a write and a sync, which saves a third of
 * what the kernel does for them, and on disks that can force single writes a flush of everything else. The kernel wants
 * memory for it that starts at a multiple of the disk's sector; where a buffer starts nobody tells, so it is tried.
 */

/** More than that at once goes the usual way: what a page cache costs is little beside it. */
const BYTES_MAX = 256 * 1024;
/** Offsets and lengths of files, and at worst of memory. */
const BLOCK_BYTES = 4096;
/** What allocators align to. */
const STEP_BYTES = 16;

/** Of this thread: what is written is copied here first, from where it was found to be aligned the last time. */
let bounce: Buffer | undefined;
let alignedAt = 0;

/** A second handle of an open file, for such writes. */
export class DirectFile {
  readonly #handle: number;
  readonly #aligned: Buffer;

  /** Of a file that is open and holds a block at least; nothing where its file system can't do it. */
  static of(handle: number): DirectFile | undefined {
    const direct = openDirect(handle);
    if (direct === undefined) return undefined;
    bounce ??= Buffer.allocUnsafeSlow(BYTES_MAX + BLOCK_BYTES);
    const from = alignedStart(direct, bounce);
    if (from === undefined) {
      closeSync(direct);
      return undefined;
    }
    alignedAt = from;
    return new DirectFile(direct, bounce.subarray(from, from + BYTES_MAX));
  }

  private constructor(handle: number, aligned: Buffer) {
    this.#handle = handle;
    this.#aligned = aligned;
  }

  /** Durable on return; false, with nothing written, for what must go the usual way. */
  write(bytes: Uint8Array, at: number): boolean {
    const { length } = bytes;
    if (length > BYTES_MAX || length % BLOCK_BYTES !== 0 || at % BLOCK_BYTES !== 0) return false;
    this.#aligned.set(bytes);
    for (let done = 0; done < length; ) {
      const count = this.#writeSome(this.#aligned.subarray(done, length), at + done);
      // A part of a block can't be gone on from: the whole is written again, the usual way.
      if (count === 0 || count % BLOCK_BYTES !== 0) return false;
      done += count;
    }
    return true;
  }

  /** How many bytes; none where the file system takes no such write after all. */
  #writeSome(bytes: Buffer, at: number): number {
    try {
      return writeSync(this.#handle, bytes, 0, bytes.length, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EINVAL') return 0;
      throw error;
    }
  }

  close(): void {
    closeSync(this.#handle);
  }
}

function openDirect(handle: number): number | undefined {
  try {
    return openSync(`/proc/self/fd/${handle}`, constants.O_RDWR | constants.O_DIRECT | constants.O_DSYNC);
  } catch {
    return undefined;
  }
}

/** Where in it the file can be read to, and so written from. */
function alignedStart(handle: number, buffer: Buffer): number | undefined {
  if (canRead(handle, buffer, alignedAt)) return alignedAt;
  for (let from = 0; from < BLOCK_BYTES; from += STEP_BYTES) if (canRead(handle, buffer, from)) return from;
  return undefined;
}

function canRead(handle: number, buffer: Buffer, from: number): boolean {
  try {
    return readSync(handle, buffer, from, BLOCK_BYTES, 0) === BLOCK_BYTES;
  } catch {
    return false;
  }
}
