import type { ImageTable, StoredImage } from '../image/image-table.ts';
import type { HistoryEntry } from '../image/oci.ts';
import type { NewLayer } from '../image/write.ts';

/** A step that an image has done already. */
export interface KnownStep {
  readonly image: StoredImage;
  readonly history: HistoryEntry;
  readonly layer: NewLayer | undefined;
  /** It is the image's last: there is nothing to make of it. */
  readonly isLast: boolean;
}

/**
 * `--cache-from`: images that may have done the steps of a build elsewhere. Their history says what was done, and on top
 * of what; COPY and ADD are in it by the hash of what they brought.
 */
export class CacheSources {
  readonly #table: ImageTable;
  #images: readonly StoredImage[];

  constructor(table: ImageTable, images: readonly StoredImage[]) {
    this.#table = table;
    this.#images = images;
  }

  /** Without any, all that was ever built here counts. */
  get isEmpty(): boolean {
    return this.#images.length === 0;
  }

  /** Whether one of them was built on top of an image, or is that image. */
  cameFrom(image: StoredImage): boolean {
    return this.#images.some((source) => {
      for (let at: StoredImage | undefined = source; at; at = this.#parentOf(at))
        if (at.id === image.id) return true;
      return false;
    });
  }

  #parentOf({ parent }: StoredImage): StoredImage | undefined {
    return parent === undefined ? undefined : this.#table.get(parent);
  }

  /** What one of them did on top of `base`, if it was this command. From then on only that one is asked. */
  step(base: StoredImage | undefined, command: string): KnownStep | undefined {
    for (const image of this.#images) {
      const found = stepIn(image, base, command);
      if (!found) continue;
      this.#images = [image];
      return found;
    }
    return undefined;
  }
}

function stepIn(image: StoredImage, base: StoredImage | undefined, command: string): KnownStep | undefined {
  const [done, wanted] = [image.config.history ?? [], base?.config.history ?? []];
  const history = done[wanted.length];
  if (history?.created_by !== command || !beginsWith(done, wanted)) return undefined;
  const [layers, below] = [image.config.rootfs.diff_ids, base?.config.rootfs.diff_ids ?? []];
  if (!beginsWith(layers, below)) return undefined;
  const isLast = done.length === wanted.length + 1;
  if (history.empty_layer === true) return { image, history, layer: undefined, isLast };
  const [diffId, descriptor] = [layers[below.length], image.content.layers[below.length]];
  if (diffId === undefined || descriptor === undefined) return undefined;
  return { image, history, layer: { diffId, descriptor }, isLast };
}

function beginsWith(list: readonly unknown[], beginning: readonly unknown[]): boolean {
  if (list.length < beginning.length) return false;
  return beginning.every((item, index) => JSON.stringify(item) === JSON.stringify(list[index]));
}
