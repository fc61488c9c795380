import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ShoalError } from '#proto/base/errors.ts';
import { checkConflicts, checkUserNamespace } from './conflicts.ts';
import { Container } from './container.ts';
import { emitContainer } from './container-events.ts';
import type { CreateRequest, EndpointConfig } from './container-types.ts';
import { rememberedGroup } from './defaults.ts';
import { endpointOn } from './endpoints.ts';
import type { TaskExtras } from './engine.ts';
import type { Platform } from './image/oci.ts';
import { formatPlatform, parsePlatform, samePlatform } from './image/platform.ts';
import { ContainerIo } from './io.ts';
import { plannedLinks } from './links.ts';
import { copyFolder, isEmptyFolder } from './linux/copy.ts';
import { pathInRoot } from './linux/root-path.ts';
import { type PlannedMount, planMounts } from './mount-points.ts';
import { checkedContainerName, randomId, randomName } from './names.ts';
import { userNamespaceOf } from './namespaces.ts';
import type { EngineParts } from './parts.ts';
import { publishedPorts } from './ports.ts';
import {
  type ContainerRun,
  type ContainerSpec,
  type EndpointRecord,
  type MountPoint,
  NEW_RUN,
  timestamp,
} from './record.ts';
import type { ImageForContainers } from './rootfs.ts';
import { checkConfig, commandLine, completedHostConfig, mergedConfig, warningsOf } from './settings.ts';
import { checkSupported } from './unsupported.ts';

type Parts = Pick<
  EngineParts,
  | 'opts'
  | 'clock'
  | 'random'
  | 'machine'
  | 'state'
  | 'containers'
  | 'events'
  | 'images'
  | 'rootfs'
  | 'volumes'
  | 'networks'
  | 'spawner'
  | 'userNamespace'
>;

/** Makes containers; starts nothing. */
export class Creator {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async create(
    name: string | undefined,
    request: CreateRequest,
    extras?: TaskExtras,
  ): Promise<{ id: string; warnings: string[] }> {
    const { containers, random, events, machine } = this.#parts;
    const taken = (word: string): boolean => containers.hasName(word);
    const bare = name ? checkedContainerName(name) : randomName(random, taken);
    const id = randomId(random);
    containers.reserve(bare, id);
    try {
      const spec = await this.#spec(id, bare, request, extras);
      const container = await this.#make(spec);
      emitContainer(events, container, 'create');
      return { id, warnings: warningsOf(spec.hostConfig, machine) };
    } catch (error) {
      containers.releaseName(bare);
      throw error;
    }
  }

  /** A container that the engine remembers. */
  restore(spec: ContainerSpec, run: ContainerRun): Container {
    const { state, containers } = this.#parts;
    const container = new Container(
      { spec, run },
      {
        io: new ContainerIo({ stdinOnce: spec.config.StdinOnce ?? false }),
        memory: {
          write: (changed, next) => {
            if (changed) state.putContainer(changed, next);
            else state.putRun(spec.id, next);
          },
          committed: () => state.committed(),
          commit: () => state.commit(),
        },
      },
    );
    containers.add(container);
    return container;
  }

  async #spec(
    id: string,
    name: string,
    request: CreateRequest,
    extras: TaskExtras | undefined,
  ): Promise<ContainerSpec> {
    const { machine, clock, opts } = this.#parts;
    const { config: asked, hostConfig: askedHost, endpoints } = request;
    checkConfig(asked, askedHost, machine);
    checkSupported(request);
    checkConflicts(request);
    if (userNamespaceOf(request, this.#parts)) checkUserNamespace(askedHost);
    const image = await this.#image(request);
    const merged = mergedConfig(asked, image.config);
    const hostConfig = completedHostConfig(askedHost, machine, opts.defaults);
    const shared = /^(host|container:.*)$/.test(hostConfig.NetworkMode ?? '');
    const config = { ...merged, Hostname: merged.Hostname || (shared ? '' : id.slice(0, 12)) };
    publishedPorts(config, hostConfig);
    return {
      id,
      name,
      createdAt: timestamp(clock.wallMs()),
      imageId: image.id,
      config,
      hostConfig,
      ...commandLine(config),
      mounts: [],
      ...(askedHost.Links?.length ? { links: plannedLinks(hostConfig, this.#parts.containers) } : {}),
      endpoints: this.#endpoints(hostConfig.NetworkMode ?? 'bridge', endpoints, extras),
      cgroupParent: rememberedGroup(opts),
      ...(extras ? { extras } : {}),
    };
  }

  async #image({ config: { Image }, platform }: CreateRequest): Promise<ImageForContainers> {
    if (!Image)
      throw new ShoalError('INVALID_ARGUMENT', 'config cannot be empty in order to create a container');
    const image = await this.#parts.images.resolve(Image);
    checkPlatform(Image, image.platform, platform);
    return image;
  }

  /** The networks of this machine that the container is to be on: that of its mode, and those named besides. */
  #endpoints(
    mode: string,
    given: CreateRequest['endpoints'],
    extras: TaskExtras | undefined,
  ): ContainerSpec['endpoints'] {
    const ofCluster = new Set(extras?.attachments.map(({ networkName }) => networkName));
    const byName = new Map<string, EndpointRecord>();
    const add = (name: string, config: EndpointConfig | null): void => {
      if (ofCluster.has(name)) return;
      const [key, endpoint] = endpointOn(name === 'default' ? 'bridge' : name, config, this.#parts.networks);
      byName.set(key, endpoint);
    };
    if (mode.startsWith('container:')) return {};
    const own = Object.keys(given).find((name) => name === mode || (mode === 'bridge' && name === 'default'));
    add(mode, own === undefined ? null : (given[own] ?? null));
    if (mode !== 'host' && mode !== 'none')
      for (const [name, config] of Object.entries(given)) if (name !== own) add(name, config);
    return Object.fromEntries(byName);
  }

  /** Everything on disk, all or nothing. Volumes that were made stay, as they do with Docker. */
  async #make(planned: ContainerSpec): Promise<Container> {
    const { rootfs, state } = this.#parts;
    const mounts = this.#mounts(planned);
    const spec = { ...planned, mounts: mounts.map(({ mount }) => mount) };
    rootfs.create(spec.id, spec.imageId);
    try {
      await this.#copyUp(spec, mounts);
      state.putContainer(spec, NEW_RUN);
      await state.committed();
    } catch (error) {
      state.deleteContainer(spec.id);
      await rootfs.remove(spec.id, spec.imageId);
      throw error;
    }
    return this.restore(spec, NEW_RUN);
  }

  #mounts({ config, hostConfig }: ContainerSpec): PlannedMount[] {
    const { volumes, containers } = this.#parts;
    return planMounts(config, hostConfig, {
      volume: (name, opts) => {
        const volume = volumes.create({ ...opts, ...(name === undefined ? {} : { name }) });
        return { name: volume.name, path: volumes.path(volume.name) };
      },
      mountsOf: (name) => containers.find(name).spec.mounts,
    });
  }

  /** A new volume starts with what the image has in its place. */
  async #copyUp(spec: ContainerSpec, planned: readonly PlannedMount[]): Promise<void> {
    const { rootfs, spawner, opts, volumes } = this.#parts;
    const plain = ({ name }: MountPoint): boolean =>
      name !== undefined && volumes.find(name).options === null;
    const empty = planned.filter(
      ({ mount, copyUp }) => copyUp && plain(mount) && isEmptyFolder(mount.source),
    );
    if (empty.length === 0) return;
    const views = join(opts.execRoot, 'v');
    mkdirSync(views, { recursive: true, mode: 0o700 });
    await rootfs.withImage(spec.imageId, join(views, spec.id), async (root) => {
      for (const { mount } of empty)
        await copyFolder(pathInRoot(root, mount.destination), mount.source, spawner);
    });
  }
}

/** NOT_FOUND in Docker's words: a client then pulls the image for the platform that it wants. */
function checkPlatform(image: string, found: Platform | undefined, wanted: string | undefined): void {
  if (!wanted || !found) return;
  const platform = parsePlatform(wanted);
  if (samePlatform(found, platform)) return;
  throw new ShoalError(
    'NOT_FOUND',
    `image with reference ${image} was found but its platform (${formatPlatform(found)}) does not match the specified platform (${formatPlatform(platform)})`,
  );
}
