import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContainerConfig } from './container-types.ts';
import type { Platform } from './image/oci.ts';
import { folderBytes } from './linux/folder.ts';
import { unmountIfMounted } from './linux/mounts.ts';
import { mappedLayers, mountOverlay, mountOverlayAside } from './linux/overlay.ts';
import type { UserNamespace } from './linux/user-namespace.ts';

/** An image as far as containers need it. */
export interface ImageForContainers {
  /** Digest of its config. */
  readonly id: string;
  /** What it says about running it. */
  readonly config: Partial<ContainerConfig>;
  /** What it runs on; absent: not known. */
  readonly platform?: Platform;
}

/** Where containers get their images from: the image store, made to fit. */
export interface ImageSource {
  /** The image of a reference, id or beginning of an id. NOT_FOUND `No such image: …`. */
  resolve(reference: string): Promise<ImageForContainers> | ImageForContainers;
  /** Folders of its unpacked layers, top first. */
  layers(imageId: string): readonly string[];
  /** Keeps an image, and above all its layers, while somebody uses it. Not remembered across restarts. */
  hold(imageId: string, holder: string): void;
  release(imageId: string, holder: string): void;
}

/** The file systems of containers: the image's layers with one of the container's own on top. */
export class RootFilesystems {
  /**
   * The bottom of every container: a folder with what is mounted on in each, so that the runtime has not to make it in
   * the container's own layer, where it would look like a change.
   */
  readonly mountPoints: string;
  readonly #dataRoot: string;
  readonly #images: ImageSource;

  constructor(opts: { dataRoot: string }, modules: { images: ImageSource }) {
    this.#dataRoot = opts.dataRoot;
    this.#images = modules.images;
    this.mountPoints = join(opts.dataRoot, 'mount-points');
    for (const folder of ['dev', 'etc', 'proc', 'sys'])
      mkdirSync(join(this.mountPoints, folder), { recursive: true, mode: 0o755 });
    for (const file of ['hosts', 'hostname', 'resolv.conf'])
      closeSync(openSync(join(this.mountPoints, 'etc', file), 'a', 0o644));
    // Programs look for it to tell that they run in a container.
    closeSync(openSync(join(this.mountPoints, '.dockerenv'), 'a', 0o755));
  }

  /** Folder of everything that a container keeps on disk. */
  folder(containerId: string): string {
    return join(this.#dataRoot, 'containers', containerId);
  }

  /** What the container changed. */
  upper(containerId: string): string {
    return join(this.folder(containerId), 'upper');
  }

  work(containerId: string): string {
    return join(this.folder(containerId), 'work');
  }

  /** The newest of its log files. */
  logPath(containerId: string): string {
    return join(this.folder(containerId), 'container.log');
  }

  layers(imageId: string): readonly string[] {
    return this.#images.layers(imageId);
  }

  create(containerId: string, imageId: string): void {
    this.#images.hold(imageId, containerId);
    for (const folder of [this.upper(containerId), this.work(containerId)])
      mkdirSync(folder, { recursive: true, mode: 0o755 });
  }

  /** Away from the event loop: a busy disk takes its time. */
  async remove(containerId: string, imageId: string): Promise<void> {
    await rm(this.folder(containerId), { recursive: true, force: true });
    this.#images.release(imageId, containerId);
  }

  /** `users`: those who see the files as theirs; absent: the machine's own. */
  async mount(
    containerId: string,
    imageId: string,
    target: string,
    users?: Pick<UserNamespace, 'mapped'>,
  ): Promise<void> {
    const writable = { upper: this.upper(containerId), work: this.work(containerId) };
    const layers = { lowers: [...this.#images.layers(imageId), this.mountPoints], writable };
    await mountOverlayAside(users ? mappedLayers(layers, users) : layers, target);
  }

  /** Shows an image, without anything of a container's, while `work` runs. */
  async withImage<T>(imageId: string, target: string, work: (root: string) => Promise<T>): Promise<T> {
    mkdirSync(target, { recursive: true });
    mountOverlay({ lowers: this.#images.layers(imageId) }, target);
    try {
      return await work(target);
    } finally {
      unmountIfMounted(target);
      rmSync(target, { recursive: true, force: true });
    }
  }

  /** Shows the files of a container that does not run, as they are now and not to be changed. */
  async withView<T>(
    containerId: string,
    imageId: string,
    target: string,
    work: (root: string) => Promise<T>,
  ): Promise<T> {
    mkdirSync(target, { recursive: true });
    mountOverlay({ lowers: [this.upper(containerId), ...this.#images.layers(imageId)] }, target);
    try {
      return await work(target);
    } finally {
      unmountIfMounted(target);
      rmSync(target, { recursive: true, force: true });
    }
  }

  changedBytes(containerId: string): Promise<number> {
    return folderBytes(this.upper(containerId));
  }

  /** What the container's files would take without sharing. */
  async totalBytes(containerId: string, imageId: string): Promise<number> {
    const parts = [this.upper(containerId), ...this.#images.layers(imageId)];
    const sizes = await Promise.all(parts.map((folder) => folderBytes(folder)));
    return sizes.reduce((sum, size) => sum + size, 0);
  }
}
