import type { Images } from '../core/image/images.ts';
import { listImages } from '../core/image/list.ts';
import { summaryShape } from './image-shapes.ts';
import type { ImageFacts } from './info.ts';

/** The shape of an image in GET /system/df does not change with the version asked for. */
const NEWEST = { major: 1, minor: Number.MAX_SAFE_INTEGER };

/** What the image store says about itself to GET /info and GET /system/df. */
export function imageFacts({ store }: Pick<Images, 'store'>): ImageFacts {
  return {
    count: () => store.table.images().filter(({ removed }) => !removed).length,
    usage: async () => {
      const images = listImages(store, new Map(), false).map(({ image, names }) => ({
        ...summaryShape(store, image, names, { version: NEWEST, sharedSize: true }),
        Containers: store.holds.of(image.id).length,
      }));
      const layers = store.layerStore.all().map(({ size }) => size);
      return { LayersSize: layers.reduce((sum, size) => sum + size, 0), Images: images };
    },
    // A step of a build is an image like any other here.
    buildCache: async () => [],
  };
}
