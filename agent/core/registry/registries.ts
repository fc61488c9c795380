import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { RegistryAuth } from '../engine.ts';
import type { Digest } from '../image/digest.ts';
import { DEFAULT_DOMAIN, type Reference } from '../image/reference.ts';
import { type ContentSource, collect } from '../image/source.ts';
import { type FetchedManifest, RegistryClient } from './client.ts';
import { type Endpoint, endpointsOf, type RegistryOpts } from './endpoints.ts';
import { pullError, RegistryError } from './errors.ts';
import { HttpClient } from './http.ts';
import { mirrored } from './mirrored.ts';

export interface RegistriesOpts extends RegistryOpts {
  /** Authorities that a registry `host[:port]` may show a certificate of, PEM, beside the usual ones. */
  readonly authorities?: (host: string) => string | undefined;
}

export interface RegistriesModules {
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

/** Kept connections are per registry, of which one machine talks to few. */
const CLIENTS_MAX = 32;

/** What a reference stands for at its registry. */
export interface AtRegistry {
  readonly root: FetchedManifest;
  readonly source: ContentSource;
}

/** Finds the registry of a reference, by way of mirrors, and plain HTTP where that is allowed. */
export class Registries implements Disposable {
  readonly #opts: RegistriesOpts;
  readonly #modules: RegistriesModules;
  readonly #https = new Map<string, HttpClient>();

  constructor(opts: RegistriesOpts, modules: RegistriesModules) {
    this.#opts = opts;
    this.#modules = modules;
  }

  /** Asks what a reference stands for. Failures have the words that Docker has for them. */
  async resolve(reference: Reference, auth?: RegistryAuth, signal?: AbortSignal): Promise<AtRegistry> {
    const asked = reference.digest ?? reference.tag ?? 'latest';
    try {
      return await this.#first(reference, 'pull', auth, signal, async (client, behind) => {
        const root = await client.manifest(asked, signal);
        return { root, source: mirrored([client, ...behind].map((place) => fromRegistry(place, root))) };
      });
    } catch (error) {
      throw pullError(error, reference);
    }
  }

  /** The repository of a reference as a source of content, once it has been found. */
  async source(reference: Reference, auth?: RegistryAuth, signal?: AbortSignal): Promise<ContentSource> {
    return await this.#first(reference, 'pull', auth, signal, (client, behind) =>
      Promise.resolve(mirrored([client, ...behind].map((place) => fromRegistry(place)))),
    );
  }

  async tags(reference: Reference, auth?: RegistryAuth, signal?: AbortSignal): Promise<string[]> {
    try {
      return await this.#first(reference, 'pull', auth, signal, (client) => client.tags(signal));
    } catch (error) {
      throw pullError(error, reference);
    }
  }

  /** A client of the repository that a reference is pushed to. */
  async pushTo(reference: Reference, auth?: RegistryAuth, signal?: AbortSignal): Promise<RegistryClient> {
    return await this.#first(reference, 'push', auth, signal, (client) => Promise.resolve(client));
  }

  /** `docker login`: throws unless the registry takes the credentials. */
  async login(auth: RegistryAuth, signal?: AbortSignal): Promise<void> {
    const domain = domainOf(auth.serveraddress);
    try {
      await this.#first({ domain, path: '' }, 'push', auth, signal, (client) => client.ping(signal));
    } catch (error) {
      if (!(error instanceof RegistryError) || error.status !== 401) throw error;
      const message = `login attempt to ${error.origin}/v2/ failed with status: 401 Unauthorized`;
      throw new ShoalError('UNAUTHENTICATED', message, { cause: error });
    }
  }

  /**
   * Does something at the first endpoint that there is. Only mirrors may fail at it without ending the search. `behind` a
   * mirror are the endpoints that have what it lacks.
   */
  async #first<T>(
    { domain, path }: Reference,
    use: 'pull' | 'push',
    credentials: RegistryAuth | undefined,
    signal: AbortSignal | undefined,
    work: (client: RegistryClient, behind: readonly RegistryClient[]) => Promise<T>,
  ): Promise<T> {
    let failure: unknown;
    const endpoints = endpointsOf(domain, this.#opts, use);
    for (const [at, endpoint] of endpoints.entries()) {
      let isThere = false;
      try {
        const client = this.#clientOf(endpoint, path, credentials);
        await client.greet(signal);
        isThere = true;
        const behind = endpoint.mirror ? endpoints.slice(at + 1) : [];
        return await work(
          client,
          behind.map((next) => this.#clientOf(next, path, credentials)),
        );
      } catch (error) {
        signal?.throwIfAborted();
        failure = error;
        if (isThere && !endpoint.mirror) break;
      }
    }
    throw failure;
  }

  #clientOf(endpoint: Endpoint, repository: string, credentials: RegistryAuth | undefined): RegistryClient {
    const http = this.#httpOf(endpoint);
    // What was given for the registry is nobody else's business.
    const shown = endpoint.mirror ? undefined : credentials;
    return new RegistryClient(
      { endpoint: endpoint.url, repository, credentials: shown },
      { send: http.send, clock: this.#modules.clock },
    );
  }

  #httpOf({ url, insecure }: Endpoint): HttpClient {
    const key = `${insecure} ${url.host}`;
    const kept = this.#https.get(key);
    if (kept) return kept;
    const ca = this.#opts.authorities?.(url.host);
    const made = new HttpClient({ insecure, ...(ca !== undefined && { ca }) });
    this.#https.set(key, made);
    if (this.#https.size > CLIENTS_MAX) this.#forget([...this.#https.keys()][0] as string);
    return made;
  }

  /** Requests under way end by themselves; only idle connections are closed. */
  #forget(key: string): void {
    this.#https.delete(key);
  }

  [Symbol.dispose](): void {
    for (const http of this.#https.values()) http[Symbol.dispose]();
    this.#https.clear();
  }
}

/** Content from a repository. Manifests and blobs have different addresses there. */
export function fromRegistry(client: RegistryClient, root?: FetchedManifest): ContentSource {
  return {
    async document(digest: Digest, isManifest: boolean, signal) {
      if (root?.descriptor.digest === digest) return root.bytes;
      if (isManifest) return (await client.manifest(digest, signal)).bytes;
      return await collect(await client.blob(digest, 0, signal));
    },
    blob: (digest, offset, signal) => client.blob(digest, offset, signal),
  };
}

/** The registry of an address as `docker login` has it: a host, or a URL; nothing is the default one. */
function domainOf(address: string | undefined): string {
  if (address === undefined || address === '') return DEFAULT_DOMAIN;
  const host = address.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  if (host === '') throw new ShoalError('INVALID_ARGUMENT', `invalid registry address: ${address}`);
  return host === 'index.docker.io' || host === 'registry-1.docker.io' ? DEFAULT_DOMAIN : host;
}
