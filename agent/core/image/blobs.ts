import { createHash, type Hash } from 'node:crypto';
import { createReadStream, type Dirent, mkdirSync, readdirSync, statSync } from 'node:fs';
import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, messageOf, ShoalError } from '#proto/base/errors.ts';
import { algorithmOf, type Digest, hexOf, isDigest, sha256Of } from './digest.ts';
import { DiskReserve, discard, freshName, syncFolder, writeFailure } from './disk.ts';
import { type Chunks, Incoming } from './incoming.ts';
import { DOCUMENT_BYTES_MAX } from './oci.ts';

const READ_BYTES = 256 * 1024;

/** Gives the bytes of a blob from an offset on. */
export type BlobSource = (offset: number) => Chunks | Promise<Chunks>;

export interface IngestOpts {
  /** Known before: more or fewer bytes are refused. */
  readonly size?: number;
  readonly signal?: AbortSignal | undefined;
  /** Told how many bytes are here, after each piece. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
  /** How often a transfer that broke off is taken up again where it stopped; asks `retry` before each. */
  readonly retry?: (error: unknown, attempt: number) => Promise<boolean>;
}

/**
 * Content by digest, as an OCI layout keeps it: `blobs/ALGORITHM/HEX`. Whatever is there under its name is whole and
 * right: it is written elsewhere, checked, made durable, and renamed.
 */
export class BlobStore {
  readonly #root: string;
  readonly #ingest: string;
  readonly #trash: string;
  readonly #sizes = new Map<Digest, number>();
  readonly #incoming = new Map<Digest, Incoming>();

  /** Opens the store under `root`; `ingest` and `trash` are folders of the same file system. */
  constructor(root: string, ingest: string, trash: string) {
    this.#root = root;
    this.#ingest = ingest;
    this.#trash = trash;
    mkdirSync(join(root, 'sha256'), { recursive: true });
    for (const algorithm of readdirSync(root)) this.#list(algorithm);
  }

  #list(algorithm: string): void {
    const files: Dirent[] = readdirSync(join(this.#root, algorithm), { withFileTypes: true });
    for (const file of files) {
      const digest = `${algorithm}:${file.name}`;
      if (isDigest(digest)) this.#sizes.set(digest, statSync(this.path(digest)).size);
    }
  }

  has(digest: Digest): boolean {
    return this.#sizes.has(digest);
  }

  /** Undefined when it is not here. */
  size(digest: Digest): number | undefined {
    return this.#sizes.get(digest);
  }

  all(): Digest[] {
    return [...this.#sizes.keys()];
  }

  path(digest: Digest): string {
    return join(this.#root, algorithmOf(digest), hexOf(digest));
  }

  /** A document as a whole. */
  async read(digest: Digest): Promise<Buffer> {
    const size = this.#sizes.get(digest);
    if (size === undefined) throw missing(digest);
    if (size > DOCUMENT_BYTES_MAX)
      throw new ShoalError('INVALID_ARGUMENT', `${digest} is too large for a document`);
    return await readFile(this.path(digest));
  }

  /** NOT_FOUND at once when it is not here. */
  stream(digest: Digest, offset = 0): AsyncIterable<Buffer> {
    if (!this.has(digest)) throw missing(digest);
    return createReadStream(this.path(digest), {
      start: offset,
      highWaterMark: READ_BYTES,
    }) as AsyncIterable<Buffer>;
  }

  /** Like `stream`, and as it comes, what is on its way here first hand. */
  follow(digest: Digest, offset = 0, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    const incoming = this.has(digest) ? undefined : this.#incoming.get(digest);
    return incoming?.isFirstHand ? incoming.follow(offset, signal) : this.stream(digest, offset);
  }

  /** Keeps a document. */
  async put(bytes: Uint8Array): Promise<Digest> {
    const digest = sha256Of(bytes);
    if (!this.has(digest)) {
      await this.ingest(digest, () => one(bytes), { size: bytes.length });
    }
    return digest;
  }

  /** A name for a file that may become a blob; whoever asks for it writes it. */
  temporary(): string {
    return freshName(this.#ingest);
  }

  /** Takes over a file that is known to have this digest and has been made durable. */
  async adopt(file: string, digest: Digest, size: number): Promise<void> {
    mkdirSync(join(this.#root, algorithmOf(digest)), { recursive: true });
    await rename(file, this.path(digest));
    await syncFolder(join(this.#root, algorithmOf(digest)));
    this.#sizes.set(digest, size);
  }

  /**
   * Fetches a blob. A transfer that breaks off goes on where it stopped, as `retry` allows. Bytes that do not have the
   * digest are thrown away, with FAILED_PRECONDITION.
   */
  async ingest(digest: Digest, source: BlobSource, opts: IngestOpts = {}): Promise<void> {
    const file = this.temporary();
    const incoming = new Incoming(file);
    this.#incoming.set(digest, incoming);
    try {
      const size = await this.#fetch({ file, incoming }, digest, source, opts);
      await this.adopt(file, digest, size);
    } finally {
      incoming.brokeOff();
      if (this.#incoming.get(digest) === incoming) this.#incoming.delete(digest);
      await rm(file, { force: true });
    }
  }

  async #fetch(
    { file, incoming }: { readonly file: string; readonly incoming: Incoming },
    digest: Digest,
    source: BlobSource,
    opts: IngestOpts,
  ): Promise<number> {
    await using handle = await open(file, 'wx', 0o600);
    const disk = { handle, reserve: new DiskReserve(this.#ingest), incoming };
    const transfer = new Transfer(disk, createHash(algorithmOf(digest)), digest, opts);
    for (let attempt = 0; ; attempt++) {
      const before = transfer.size;
      try {
        await transfer.take(await source(transfer.size));
        break;
      } catch (error) {
        incoming.brokeOff();
        opts.signal?.throwIfAborted();
        if (error instanceof WrongContent || error instanceof DiskFailure) throw error;
        // What moved on is no failure of the same place.
        if (transfer.size > before) attempt = 0;
        if (!(await opts.retry?.(error, attempt))) throw error;
      }
    }
    transfer.check();
    incoming.isWhole();
    await handle.sync();
    return transfer.size;
  }

  /** Reads a blob again. One that is no longer what its name says is thrown away: false. */
  async isUndamaged(digest: Digest): Promise<boolean> {
    const hash = createHash(algorithmOf(digest));
    for await (const chunk of this.stream(digest)) hash.update(chunk);
    const isWhole = hash.digest('hex') === hexOf(digest);
    if (!isWhole) this.remove(digest);
    return isWhole;
  }

  /** Takes a blob out of sight at once; its bytes go when the trash is emptied. Gives back its size. */
  remove(digest: Digest): number {
    const size = this.#sizes.get(digest);
    if (size === undefined) return 0;
    this.#sizes.delete(digest);
    discard(this.path(digest), this.#trash);
    return size;
  }
}

/** The content is not what its name says: asking the same source again won't help. */
class WrongContent extends ShoalError {
  constructor(message: string) {
    super('FAILED_PRECONDITION', message);
  }
}

/** This machine's disk failed, not the source. */
class DiskFailure extends ShoalError {
  constructor(cause: unknown) {
    const failure = writeFailure(cause);
    super(codeOf(failure), messageOf(failure), { cause });
  }
}

interface Disk {
  readonly handle: FileHandle;
  readonly reserve: DiskReserve;
  readonly incoming: Incoming;
}

class Transfer {
  readonly #disk: Disk;
  readonly #hash: Hash;
  readonly #digest: Digest;
  readonly #opts: IngestOpts;
  size = 0;

  constructor(disk: Disk, hash: Hash, digest: Digest, opts: IngestOpts) {
    this.#disk = disk;
    this.#hash = hash;
    this.#digest = digest;
    this.#opts = opts;
  }

  async take(chunks: Chunks): Promise<void> {
    this.#disk.incoming.comesFrom(chunks);
    for await (const chunk of chunks) {
      this.#opts.signal?.throwIfAborted();
      if (this.#opts.size !== undefined && this.size + chunk.length > this.#opts.size) {
        throw new WrongContent(`${this.#digest}: expected ${this.#opts.size} bytes, got more`);
      }
      await this.#write(chunk);
      this.#hash.update(chunk);
      this.size += chunk.length;
      this.#disk.incoming.grew(this.size);
      this.#opts.onProgress?.(this.size);
    }
    if (this.#opts.size !== undefined && this.size < this.#opts.size) {
      throw new ShoalError(
        'UNAVAILABLE',
        `${this.#digest}: unexpected EOF: got ${this.size} of ${this.#opts.size} bytes`,
      );
    }
  }

  async #write(chunk: Uint8Array): Promise<void> {
    const { handle, reserve } = this.#disk;
    try {
      reserve.take(chunk.length);
      for (let at = 0; at < chunk.length; ) {
        at += (await handle.write(chunk, at, chunk.length - at, this.size + at)).bytesWritten;
      }
    } catch (error) {
      throw new DiskFailure(error);
    }
  }

  check(): void {
    const found = `${algorithmOf(this.#digest)}:${this.#hash.digest('hex')}`;
    if (found !== this.#digest) {
      throw new WrongContent(`filesystem layer verification failed for digest ${this.#digest}: got ${found}`);
    }
  }
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function missing(digest: Digest): ShoalError {
  return new ShoalError('NOT_FOUND', `blob ${digest} is not here`);
}
