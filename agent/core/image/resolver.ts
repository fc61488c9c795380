import { codeOf, messageOf } from '#proto/base/errors.ts';
import type { ContentPeers, RegistryAuth, ResolvedImage } from '../engine.ts';
import type { Registries } from '../registry/registries.ts';
import type { ImageStore } from './image-store.ts';
import type { StoredImage } from './image-table.ts';
import { byReference, cameFromRegistry, findImage, namedAs } from './lookup.ts';
import { type Descriptor, isIndexType, parseImageConfig, parseManifest } from './oci.ts';
import { configPlatform, indexPlatforms } from './platform.ts';
import { familiarName, parseReference, type Reference, withDefaultTag } from './reference.ts';
import type { ContentSource } from './source.ts';

export interface ResolverModules {
  readonly store: ImageStore;
  readonly registries: Registries;
  /** Other nodes, where there are any. */
  readonly peers?: ContentPeers;
}

/** How long a registry may take to tell what we could tell ourselves. Whoever pins an image waits about three times as long. */
const NEWER_MS_MAX = 5_000;

/** Says what references stand for: what was made on a node by that node, what came from a registry by the registry. */
export class Resolver {
  readonly #modules: ResolverModules;

  constructor(modules: ResolverModules) {
    this.#modules = modules;
  }

  /**
   * A tag that came from a registry may have moved there, so the registry is asked again; this node or a peer answers when
   * it can't. NOT_FOUND / UNAVAILABLE with Docker's words.
   */
  async resolve(reference: string, auth?: RegistryAuth, signal?: AbortSignal): Promise<ResolvedImage> {
    const here = this.local(reference);
    if (here && !here.mayHaveMoved) return here;
    const parsed = withDefaultTag(parseReference(reference));
    const known = here ?? (await this.#modules.peers?.resolve(familiarName(parsed), signal));
    if (!known) return await this.#atRegistry(parsed, auth, signal);
    return known.mayHaveMoved ? await this.#newer(parsed, known, auth, signal) : known;
  }

  /** What this node knows by itself. */
  local(reference: string): ResolvedImage | undefined {
    const { table } = this.#modules.store;
    const image = this.#localImage(reference);
    if (!image) return undefined;
    const named = namedAs(table, reference);
    const { digest, mediaType, size } = named?.target ?? image.manifest;
    const platforms = named?.platforms ?? [configPlatform(image.config)];
    const mayHaveMoved = named !== undefined && cameFromRegistry(table, named);
    return { digest, mediaType, size, platforms, ...(mayHaveMoved && { mayHaveMoved }) };
  }

  #localImage(reference: string): StoredImage | undefined {
    const { table } = this.#modules.store;
    try {
      return findImage(table, reference);
    } catch (error) {
      if (codeOf(error) === 'INVALID_ARGUMENT') throw error;
      return byReference(table, parseReference(reference));
    }
  }

  /** What the registry says in time, else what is known. */
  async #newer(
    reference: Reference,
    known: ResolvedImage,
    auth: RegistryAuth | undefined,
    signal: AbortSignal | undefined,
  ): Promise<ResolvedImage> {
    const { clock, log } = this.#modules.store.modules;
    const late = new AbortController();
    const cancel = clock.timer(NEWER_MS_MAX, () => late.abort(new Error(`no answer in ${NEWER_MS_MAX} ms`)));
    try {
      return await this.#atRegistry(
        reference,
        auth,
        signal ? AbortSignal.any([signal, late.signal]) : late.signal,
      );
    } catch (error) {
      signal?.throwIfAborted();
      const image = familiarName(reference);
      log.info('an image is taken as nodes know it: the registry does not say', {
        image,
        err: messageOf(error),
      });
      return known;
    } finally {
      cancel();
    }
  }

  async #atRegistry(
    reference: Reference,
    auth: RegistryAuth | undefined,
    signal: AbortSignal | undefined,
  ): Promise<ResolvedImage> {
    const { root, source } = await this.#modules.registries.resolve(reference, auth, signal);
    const { descriptor, bytes } = root;
    return { ...descriptor, platforms: await platformsAt(source, descriptor, bytes, signal) };
  }
}

/** Those of an index; of a manifest by itself, its config's. */
async function platformsAt(
  source: ContentSource,
  { mediaType }: Descriptor,
  bytes: Buffer,
  signal: AbortSignal | undefined,
): Promise<ResolvedImage['platforms']> {
  if (isIndexType(mediaType)) return indexPlatforms(bytes);
  const { config } = parseManifest(bytes);
  return [configPlatform(parseImageConfig(await source.document(config.digest, false, signal)))];
}
