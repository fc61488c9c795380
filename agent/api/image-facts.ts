import type { ApiVersion } from '#proto/http/types.ts';
import { API_MINOR_MAX } from '#proto/types/version.ts';
import type { ImageStore } from '../core/image/image-store.ts';
import type { StoredImage } from '../core/image/image-table.ts';
import type { Images } from '../core/image/images.ts';
import { createdMs, listImages } from '../core/image/list.ts';
import { timestamp } from '../core/record.ts';
import { summaryShape } from './image-shapes.ts';

/** What the image store says about itself for `docker info` and `docker system df`. */
export interface ImageFacts {
  count(): number;
  usage(): { readonly LayersSize: number; readonly Images: readonly unknown[] };
  buildCache(): readonly unknown[];
}

const NO_FILTERS = new Map<string, string[]>();

/** The facts of a store. Steps of builds that no list of images shows are the cache. */
export function imageFacts({ store }: Pick<Images, 'store'>): ImageFacts {
  const version: ApiVersion = { major: 1, minor: API_MINOR_MAX };
  return {
    count: () => store.table.images().filter(({ removed }) => !removed).length,
    usage: () => ({
      LayersSize: store.layerStore.all().reduce((sum, { size }) => sum + size, 0),
      Images: listImages(store, NO_FILTERS, false).map(({ image, names }) =>
        summaryShape(store, image, names, { version, sharedSize: true }),
      ),
    }),
    buildCache() {
      const listed = listImages(store, NO_FILTERS, false).map(({ image }) => image);
      const shown = new Set(listed.map(({ id }) => id));
      const layers = new Set(listed.flatMap(({ chain }) => chain));
      const steps = store.table.images().filter((image) => isStep(image) && !shown.has(image.id));
      return steps.map((step) => cacheShape(store, step, layers));
    },
  };
}

function isStep({ cacheKey, removed }: StoredImage): boolean {
  return cacheKey !== undefined && !removed;
}

/** A step, with the size of what it added; shared when an image that is listed has that as well. */
function cacheShape(store: ImageStore, step: StoredImage, shared: ReadonlySet<string>): object {
  const last = step.config.history?.at(-1);
  const top = last?.empty_layer ? undefined : step.chain.at(-1);
  return {
    ID: step.id,
    ...(step.parent !== undefined && { Parents: [step.parent] }),
    Type: 'regular',
    Description: last?.created_by ?? '',
    InUse: store.holds.of(step.id).length > 0,
    Shared: top === undefined || shared.has(top),
    Size: top === undefined ? 0 : (store.layerStore.get(top)?.size ?? 0),
    CreatedAt: timestamp(createdMs(step)),
    LastUsedAt: null,
    UsageCount: 0,
  };
}
