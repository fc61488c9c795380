import { codeOf } from '#proto/base/errors.ts';
import type { ContentPeers, Images as ImagesOfEngine, RegistryAuth, ResolvedImage } from '../engine.ts';
import type { Registries } from '../registry/registries.ts';
import type { Digest } from './digest.ts';
import { Fetcher } from './fetch.ts';
import { Flights } from './flights.ts';
import type { ImageStore } from './image-store.ts';
import type { StoredImage } from './image-table.ts';
import type { Lease } from './leases.ts';
import { findImage } from './lookup.ts';
import type { Descriptor, Platform } from './oci.ts';
import { noProgress, type ProgressSink } from './progress.ts';
import {
  familiarName,
  familiarRepository,
  parseReference,
  type Reference,
  withDefaultTag,
  withoutTagIfDigest,
} from './reference.ts';
import { Resolver } from './resolver.ts';
import { type ContentSource, fromCluster } from './source.ts';

export interface ImagesModules {
  readonly store: ImageStore;
  readonly registries: Registries;
  /** Other nodes, where there are any. */
  readonly peers?: ContentPeers;
}

export interface PullOpts {
  readonly auth?: RegistryAuth | undefined;
  readonly platform?: Platform | undefined;
  readonly progress: ProgressSink;
  readonly signal?: AbortSignal | undefined;
}

interface Origin {
  readonly target: Descriptor;
  /** A registry has it by this name. */
  readonly isRegistered: boolean;
  readonly source: ContentSource;
}

/** Images wherever they are: on this node, on its peers, at a registry. */
export class Images implements ImagesOfEngine {
  readonly #modules: ImagesModules;
  readonly #fetcher: Fetcher;
  readonly #resolver: Resolver;
  readonly #ensuring = new Flights<true>();

  constructor(modules: ImagesModules) {
    this.#modules = modules;
    this.#fetcher = new Fetcher(modules.store);
    this.#resolver = new Resolver(modules);
  }

  get store(): ImageStore {
    return this.#modules.store;
  }

  async resolve(reference: string, auth?: RegistryAuth, signal?: AbortSignal): Promise<ResolvedImage> {
    return await this.#resolver.resolve(reference, auth, signal);
  }

  async ensure(
    reference: string,
    auth?: RegistryAuth,
    signal?: AbortSignal,
    progress: ProgressSink = noProgress,
  ): Promise<void> {
    const there = (): true | undefined => this.#isHere(reference) || undefined;
    await this.#ensuring.run(reference, signal, there, async () => {
      const parsed = withDefaultTag(parseReference(reference));
      const opts = { auth, signal, progress };
      using lease = this.store.lease();
      await this.#bring(parsed, await this.#originToEnsure(parsed, lease, opts), opts);
      return true;
    });
  }

  async #originToEnsure(wanted: Reference, lease: Lease, opts: PullOpts): Promise<Origin> {
    const { digest } = wanted;
    if (digest === undefined)
      return (await this.#atPeers(wanted, opts)) ?? (await this.#atRegistry(wanted, opts));
    // There is nothing to ask about: many nodes that start together have the registry asked once.
    lease.add(digest);
    const source = this.#anywhere(this.#lazily(wanted, opts));
    const target = await this.#fetcher.describe(digest, { ...opts, source });
    return { target, isRegistered: true, source };
  }

  #isHere(reference: string): boolean {
    try {
      return this.store.isWhole(findImage(this.store.table, reference));
    } catch (error) {
      if (codeOf(error) === 'NOT_FOUND') return false;
      throw error;
    }
  }

  /**
   * `docker pull`: what the registry has now; what only another node has comes from there. Layers come from other nodes
   * first in any case.
   */
  async pull(reference: Reference, opts: PullOpts): Promise<void> {
    const wanted = withDefaultTag(reference);
    const origin = await this.#originForPull(wanted, opts);
    opts.progress({ id: wanted.digest ?? wanted.tag ?? '', status: `Pulling from ${wanted.path}` });
    const isNew = await this.#bring(wanted, origin, opts);
    const status = isNew ? 'Downloaded newer image for' : 'Image is up to date for';
    opts.progress({ status: `Digest: ${origin.target.digest}` });
    opts.progress({ status: `Status: ${status} ${familiarName(wanted)}` });
  }

  async #originForPull(wanted: Reference, opts: PullOpts): Promise<Origin> {
    try {
      return await this.#atRegistry(wanted, opts);
    } catch (error) {
      opts.signal?.throwIfAborted();
      const fromPeer = await this.#atPeers(wanted, opts);
      if (fromPeer) return fromPeer;
      throw error;
    }
  }

  /** All tags that the registry has of a repository. */
  async pullAll(reference: Reference, opts: PullOpts): Promise<void> {
    const { domain, path } = reference;
    for (const tag of await this.#modules.registries.tags(reference, opts.auth, opts.signal)) {
      await this.pull({ domain, path, tag }, opts);
    }
  }

  async #atPeers(wanted: Reference, opts: PullOpts): Promise<Origin | undefined> {
    const { peers } = this.#modules;
    const found = await peers?.resolve(familiarName(withoutTagIfDigest(wanted)), opts.signal);
    if (!peers || !found) return undefined;
    const { digest, mediaType, size } = found;
    const source = this.#anywhere(this.#lazily(wanted, opts));
    return { target: { digest, mediaType, size }, isRegistered: found.mayHaveMoved ?? false, source };
  }

  /** The other nodes, where there are any, and where an image comes from otherwise. */
  #anywhere(origin: ContentSource): ContentSource {
    const { peers } = this.#modules;
    return peers ? fromCluster(peers, origin) : origin;
  }

  /** The registry as a source that is first talked to when something is wanted from it. */
  #lazily(wanted: Reference, { auth, signal }: PullOpts): ContentSource {
    const { registries } = this.#modules;
    const open = once(() => registries.source(wanted, auth, signal));
    return {
      document: async (digest, ...args) => {
        // Its failure is what the user is shown.
        if (digest !== wanted.digest) return await (await open()).document(digest, ...args);
        return (await registries.resolve(withoutTagIfDigest(wanted), auth, signal)).root.bytes;
      },
      blob: async (...args) => await (await open()).blob(...args),
    };
  }

  async #atRegistry(wanted: Reference, { auth, signal }: PullOpts): Promise<Origin> {
    const { root, source } = await this.#modules.registries.resolve(withoutTagIfDigest(wanted), auth, signal);
    // The manifest has just come: there is no need to ask anybody else for it.
    const target = { ...root.descriptor };
    const isRoot = (digest: Digest): boolean => digest === target.digest;
    const all = this.#anywhere(source);
    return {
      target,
      isRegistered: true,
      source: {
        ...all,
        document: (digest, isManifest, stop) =>
          (isRoot(digest) ? source : all).document(digest, isManifest, stop),
      },
    };
  }

  /** Fetches and names an image. True when a name now stands for something else than before. */
  async #bring(wanted: Reference, origin: Origin, opts: PullOpts): Promise<boolean> {
    const { store } = this;
    using _lease = store.lease(origin.target.digest);
    const image = await this.#fetcher.fetch(origin.target, {
      source: origin.source,
      progress: opts.progress,
      signal: opts.signal,
      ...(opts.platform && { platform: opts.platform }),
    });
    const isNew = await this.#name(withoutTagIfDigest(wanted), image, origin);
    store.event('pull', familiarName(wanted), { name: familiarRepository(wanted) });
    return isNew;
  }

  /** What a registry has is known by its digest there, too. */
  async #name(wanted: Reference, image: StoredImage, { target, isRegistered }: Origin): Promise<boolean> {
    const { domain, path, digest } = wanted;
    if (isRegistered && digest === undefined)
      await this.store.setName({ domain, path, digest: target.digest }, { image, target });
    return await this.store.setName(wanted, { image, target });
  }

  has(digest: Digest): boolean {
    return this.store.blobs.has(digest);
  }

  /** Bytes; undefined when it is not here. */
  size(digest: Digest): number | undefined {
    return this.store.blobs.size(digest);
  }

  open(digest: Digest, offset: number, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    return this.store.blobs.follow(digest, offset, signal);
  }

  resolveLocal(reference: string): ResolvedImage | undefined {
    return this.#resolver.local(reference);
  }
}

/** Opens something when it is first asked for; again only when that failed. */
function once<T>(open: () => Promise<T>): () => Promise<T> {
  let opened: Promise<T> | undefined;
  return () => {
    opened ??= open().catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
}
