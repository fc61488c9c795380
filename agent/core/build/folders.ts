import { mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageStore } from '../image/image-store.ts';
import type { StoredImage } from '../image/image-table.ts';
import { nameOf } from '../image/tar/entry.ts';
import { copyAttributes } from '../image/tree/attributes.ts';
import { unmountIfMounted } from '../linux/mounts.ts';
import { mountOverlay } from '../linux/overlay.ts';

/** Where a step writes: an overlay's upper part on top of an image. */
export interface Writable {
  readonly lowers: readonly string[];
  readonly upper: string;
  readonly work: string;
}

/** The folders of one build, all gone when it is disposed, with whatever is mounted in them. */
export class BuildFolders implements AsyncDisposable {
  readonly #store: ImageStore;
  readonly #root: string;
  readonly #uppers = new Set<string>();
  readonly #mounts = new Set<string>();
  #serial = 0;

  constructor(store: ImageStore, id: string) {
    this.#store = store;
    this.#root = join(store.root, 'build', id);
    mkdirSync(this.#root, { recursive: true, mode: 0o700 });
  }

  /** Holds the build context. */
  get context(): string {
    return join(this.#root, 'context');
  }

  #make(kind: string): string {
    const path = this.fresh(kind);
    mkdirSync(path, { mode: 0o755 });
    return path;
  }

  /** A name for a folder that nobody has yet. */
  fresh(kind: string): string {
    this.#serial += 1;
    return join(this.#root, `${kind}${this.#serial}`);
  }

  /** The layers of an image, top first; for no image an empty one. */
  lowersOf(image: StoredImage | undefined): readonly string[] {
    const layers = image ? this.#store.layers(image.id) : [];
    return layers.length > 0 ? layers : [this.#make('empty')];
  }

  /** Folders for a step's changes, beside the layers, so that they can become one. */
  writable(image: StoredImage | undefined): Writable {
    const upper = this.#store.layerStore.temporary();
    mkdirSync(upper, { mode: 0o755 });
    this.#uppers.add(upper);
    const lowers = this.lowersOf(image);
    // The root of what is joined looks as the upper's does.
    copyAttributes(nameOf(lowers[0] as string), nameOf(upper));
    return { lowers, upper, work: this.#make('work') };
  }

  /** Mounts an image to read, or with changes on top, until `unmount`. */
  mount(lowers: readonly string[], writable?: Pick<Writable, 'upper' | 'work'>): string {
    const target = this.#make('root');
    mountOverlay({ lowers, ...(writable && { writable }) }, target);
    this.#mounts.add(target);
    return target;
  }

  unmount(target: string): void {
    unmountIfMounted(target);
    this.#mounts.delete(target);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const target of this.#mounts) unmountIfMounted(target);
    for (const path of [...this.#uppers, this.#root]) await this.#remove(path);
  }

  /** Uppers that became layers are no longer there. */
  async #remove(path: string): Promise<void> {
    await this.#store.pool.run('remove', { path }).catch(() => rm(path, { recursive: true, force: true }));
  }
}
