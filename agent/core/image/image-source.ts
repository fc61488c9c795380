import type { ImageSource } from '../rootfs.ts';
import type { ImageStore } from './image-store.ts';
import { configPlatform } from './platform.ts';

/** The image store as the containers of this machine see it. */
export function imagesForContainers(store: ImageStore): ImageSource {
  return {
    resolve: (reference) => {
      const { id, config } = store.find(reference);
      return { id, config: config.config ?? {}, platform: configPlatform(config) };
    },
    layers: (imageId) => store.layers(imageId),
    hold: (imageId, containerId) => store.hold(imageId, containerId),
    release: (imageId, containerId) => {
      store.release(imageId, containerId).catch((err: unknown) => {
        store.modules.log.warn('image of a removed container could not be released', { imageId, err });
      });
    },
  };
}
