import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { assert } from '#proto/base/assert.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { chainIds, type Digest } from './digest.ts';
import { discard, freshName, syncFolder, writeWhole } from './disk.ts';
import { Flights } from './flights.ts';
import type { WorkPool } from './jobs/pool.ts';

/** One unpacked layer on top of certain others. */
export interface Layer {
  readonly chainId: Digest;
  readonly diffId: Digest;
  /** A short name, because the option string of an overlay mount is. */
  readonly name: string;
  /** Bytes of file content. */
  readonly size: number;
}

export interface LayerModules {
  readonly pool: Pick<WorkPool, 'run'>;
}

export interface UnpackOpts {
  readonly signal?: AbortSignal | undefined;
  /** Bytes of the blob that have been read. */
  readonly onProgress?: (bytes: number) => void;
}

const NAME_LENGTH_MIN = 8;
const DESCRIPTION = '.json';

/**
 * Unpacked layers, each once for all images that have it on the same layers below: `l/NAME` is the tree, `l/NAME.json`
 * what it is. A tree without description is left over from a crash.
 */
export class LayerStore {
  readonly #root: string;
  readonly #trash: string;
  readonly #modules: LayerModules;
  readonly #layers = new Map<Digest, Layer>();
  readonly #flights = new Flights<Layer>();
  /** Of layers on their way. */
  readonly #names = new Set<string>();

  /** `root` and `trash` are folders of one file system. */
  constructor(root: string, trash: string, modules: LayerModules) {
    this.#root = root;
    this.#trash = trash;
    this.#modules = modules;
    mkdirSync(root, { recursive: true });
    const files = readdirSync(root);
    for (const file of files) if (file.endsWith(DESCRIPTION)) this.#load(file);
    const known = new Set([...this.#layers.values()].flatMap(({ name }) => [name, name + DESCRIPTION]));
    for (const file of files) if (!known.has(file)) discard(join(root, file), trash);
  }

  #load(file: string): void {
    try {
      const layer = JSON.parse(readFileSync(join(this.#root, file), 'utf8')) as Layer;
      if (existsSync(join(this.#root, layer.name))) this.#layers.set(layer.chainId, layer);
    } catch (error) {
      // Written whole or not at all: what can't be read is as good as not there, and is unpacked again when wanted.
      if (!(error instanceof SyntaxError)) throw error;
    }
  }

  get(chainId: Digest): Layer | undefined {
    return this.#layers.get(chainId);
  }

  all(): Layer[] {
    return [...this.#layers.values()];
  }

  path(layer: Layer): string {
    return join(this.#root, layer.name);
  }

  /** The trees of an image, top first. NOT_FOUND when one is missing. */
  pathsTopFirst(diffIds: readonly Digest[]): string[] {
    const paths = chainIds(diffIds).map((chainId) => {
      const layer = this.#layers.get(chainId);
      if (!layer) throw new ShoalError('NOT_FOUND', `layer ${chainId} is not here`);
      return this.path(layer);
    });
    return paths.reverse();
  }

  /**
   * Makes sure that the top of these layers is unpacked; those below must be. `blob` is the file of its archive.
   * FAILED_PRECONDITION when that is not what the image's config says.
   */
  async unpack(diffIds: readonly Digest[], blob: string, opts: UnpackOpts = {}): Promise<Layer> {
    return await this.#once(diffIds, opts.signal, (chainId) => this.#unpack(chainId, diffIds, blob, opts));
  }

  /** Takes over a tree, such as the upper part of an overlay, as the top of these layers; it must be on this disk. */
  async adopt(diffIds: readonly Digest[], tree: string, contentBytes: number): Promise<Layer> {
    const layer = await this.#once(diffIds, undefined, (chainId) =>
      this.#keep(chainId, diffIds.at(-1) as Digest, tree, contentBytes),
    );
    // Somebody else had it already.
    if (existsSync(tree)) discard(tree, this.#trash);
    return layer;
  }

  async #once(
    diffIds: readonly Digest[],
    signal: AbortSignal | undefined,
    make: (chainId: Digest) => Promise<Layer>,
  ): Promise<Layer> {
    const chainId = chainIds(diffIds).at(-1);
    assert(chainId !== undefined, 'a layer is named');
    const there = (): Layer | undefined => this.#layers.get(chainId);
    return await this.#flights.run(chainId, signal, there, () => make(chainId));
  }

  async #unpack(chainId: Digest, diffIds: readonly Digest[], blob: string, opts: UnpackOpts): Promise<Layer> {
    const diffId = diffIds.at(-1) as Digest;
    const lowers = this.pathsTopFirst(diffIds.slice(0, -1));
    const target = this.temporary();
    await mkdir(target, { mode: 0o755 });
    try {
      const done = await this.#modules.pool.run('unpack', { blob, target, lowers }, opts);
      if (done.diffId !== diffId) {
        throw new ShoalError(
          'FAILED_PRECONDITION',
          `layer has diff id ${done.diffId}, its image says ${diffId}`,
        );
      }
      return await this.#keep(chainId, diffId, target, done.contentBytes);
    } catch (error) {
      if (existsSync(target)) discard(target, this.#trash);
      throw error;
    }
  }

  /** A folder name beside the layers, for a tree that may become one. */
  temporary(): string {
    return freshName(this.#root);
  }

  async #keep(chainId: Digest, diffId: Digest, tree: string, size: number): Promise<Layer> {
    const layer = { chainId, diffId, name: this.#nameFor(chainId), size };
    this.#names.add(layer.name);
    try {
      await rename(tree, this.path(layer));
      await syncFolder(this.#root);
      await writeWhole(this.path(layer) + DESCRIPTION, JSON.stringify(layer));
      this.#layers.set(chainId, layer);
      return layer;
    } finally {
      this.#names.delete(layer.name);
    }
  }

  /** The start of the chain id in base 32; longer only where another layer has the same start. */
  #nameFor(chainId: Digest): string {
    const names = new Set([...this.#names, ...[...this.#layers.values()].map(({ name }) => name)]);
    const full = base32(createHash('sha256').update(chainId).digest());
    for (let length = NAME_LENGTH_MIN; ; length++) {
      const name = full.slice(0, length);
      if (!names.has(name)) return name;
    }
  }

  /** Takes a layer out of sight at once; its files go when the trash is emptied. Gives back its size. */
  remove(chainId: Digest): number {
    const layer = this.#layers.get(chainId);
    if (!layer) return 0;
    this.#layers.delete(chainId);
    discard(this.path(layer) + DESCRIPTION, this.#trash);
    discard(this.path(layer), this.#trash);
    return layer.size;
  }
}

function base32(bytes: Uint8Array): string {
  const digits = 'abcdefghijklmnopqrstuvwxyz234567';
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{5}/g) ?? []).map((five) => digits[Number.parseInt(five, 2)]).join('');
}
