import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { RegistryAuth } from '../engine.ts';
import { type Digest, isDigest, sha256Of } from '../image/digest.ts';
import { type Descriptor, MEDIA, manifestTypeOf } from '../image/oci.ts';
import { isTag } from '../image/reference.ts';
import { Authorizer, type Scope } from './auth.ts';
import { answerOf, registryError } from './errors.ts';
import type { HttpRequest, HttpResponse, HttpSend } from './http.ts';

/** The media types of manifests we read. */
const ACCEPT = [
  MEDIA.ociManifest,
  MEDIA.ociIndex,
  MEDIA.dockerManifest,
  MEDIA.dockerList,
  MEDIA.dockerSchema1,
].join(', ');
const TAGS_PAGE = 1000;
const TAGS_MAX = 100_000;

export interface RegistryClientOpts {
  /** `https://HOST`. */
  readonly endpoint: URL;
  /** `library/busybox`. */
  readonly repository: string;
  readonly credentials?: RegistryAuth | undefined;
}

export interface RegistryClientModules {
  readonly send: HttpSend;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

export interface FetchedManifest {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
}

type Ask = Omit<HttpRequest, 'url'> & {
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
};

/** One repository at one registry (OCI distribution-spec 1.1). Failures are RegistryErrors, or UNAVAILABLE. */
export class RegistryClient {
  readonly #opts: RegistryClientOpts;
  readonly #send: HttpSend;
  readonly #authorizer: Authorizer;

  constructor(opts: RegistryClientOpts, modules: RegistryClientModules) {
    this.#opts = opts;
    this.#send = modules.send;
    this.#authorizer = new Authorizer(opts.credentials ?? {}, modules);
  }

  /** Whether there is a registry, whoever it lets in; says what it wants to see before it is asked for anything. */
  async greet(signal?: AbortSignal): Promise<void> {
    const request: HttpRequest = { method: 'GET', url: new URL('/v2/', this.#opts.endpoint), signal };
    const response = await this.#send(request);
    if (response.status !== 200 && response.status !== 401) throw await registryError(request, response);
    if (response.status === 401) this.#authorizer.take(response);
    response.drop();
  }

  /** Whether it lets us in. */
  async ping(signal?: AbortSignal): Promise<void> {
    const response = await this.#ask({ method: 'GET', path: '/v2/', signal }, []);
    response.drop();
  }

  /** By tag or digest. What a tag stands for is named by the digest of the bytes that came. */
  async manifest(tagOrDigest: string, signal?: AbortSignal): Promise<FetchedManifest> {
    const path = this.#path(`manifests/${tagOrDigest}`);
    const response = await this.#ask(
      { method: 'GET', path, headers: { accept: ACCEPT }, signal },
      this.#pull(),
    );
    const bytes = await response.bytes();
    const digest = isDigest(tagOrDigest) ? tagOrDigest : sha256Of(bytes);
    if (isDigest(tagOrDigest) && digest.startsWith('sha256:') && sha256Of(bytes) !== digest) {
      throw new ShoalError('FAILED_PRECONDITION', `manifest verification failed for digest ${digest}`);
    }
    const mediaType = manifestTypeOf(bytes, response.headers['content-type']);
    return { descriptor: { mediaType, digest, size: bytes.length }, bytes };
  }

  async blob(digest: Digest, offset: number, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const headers: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {};
    const path = this.#path(`blobs/${digest}`);
    const response = await this.#ask({ method: 'GET', path, headers, signal }, this.#pull());
    // A server may not know ranges: then the part that is here already comes again.
    return response.status === 206 ? response.body : from(response.body, offset);
  }

  /** The size of a blob; undefined when the repository has none by that digest. */
  async blobSize(digest: Digest, signal?: AbortSignal): Promise<number | undefined> {
    const path = this.#path(`blobs/${digest}`);
    try {
      const response = await this.#ask({ method: 'HEAD', path, signal }, this.#push());
      response.drop();
      return Number(response.headers['content-length'] ?? 0);
    } catch (error) {
      if (error instanceof ShoalError && error.code === 'NOT_FOUND') return undefined;
      throw error;
    }
  }

  /** Takes a blob over from another repository of the registry; false when that can't be. */
  async mount(digest: Digest, fromRepository: string, signal?: AbortSignal): Promise<boolean> {
    const response = await this.#ask(
      {
        method: 'POST',
        path: this.#path('blobs/uploads/'),
        query: { mount: digest, from: fromRepository },
        headers: { 'content-length': '0' },
        signal,
      },
      [...this.#push(), `repository:${fromRepository}:pull`],
    );
    response.drop();
    if (response.status === 201) return true;
    await this.#abandon(response, signal);
    return false;
  }

  /** An upload that was opened and is not wanted: the registry is told, so that it keeps nothing. */
  async #abandon(response: HttpResponse, signal?: AbortSignal): Promise<void> {
    const url = this.#locationOf(response);
    const dropped = await this.#askUrl({ method: 'DELETE', url, signal }, this.#push()).catch(
      () => undefined,
    );
    dropped?.drop();
  }

  async upload(
    { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
    body: AsyncIterable<Uint8Array> | Uint8Array,
    signal?: AbortSignal,
  ): Promise<void> {
    const headers = { 'content-length': '0' };
    const path = this.#path('blobs/uploads/');
    const opened = await this.#ask({ method: 'POST', path, headers, signal }, this.#push());
    opened.drop();
    const url = this.#locationOf(opened);
    url.searchParams.set('digest', digest);
    const done = await this.#askUrl(
      {
        method: 'PUT',
        url,
        headers: { 'content-type': 'application/octet-stream', 'content-length': String(size) },
        body,
        signal,
      },
      this.#push(),
    );
    done.drop();
  }

  /** Gives a manifest to the registry, under a tag or its digest. */
  async putManifest(
    tagOrDigest: string,
    bytes: Uint8Array,
    mediaType: string,
    signal?: AbortSignal,
  ): Promise<void> {
    const headers = { 'content-type': mediaType, 'content-length': String(bytes.length) };
    const path = this.#path(`manifests/${tagOrDigest}`);
    const response = await this.#ask({ method: 'PUT', path, headers, body: bytes, signal }, this.#push());
    response.drop();
  }

  async tags(signal?: AbortSignal): Promise<string[]> {
    const tags: string[] = [];
    for (let last: string | undefined; ; last = tags.at(-1)) {
      const query = { n: String(TAGS_PAGE), ...(last !== undefined && { last }) };
      const response = await this.#ask(
        { method: 'GET', path: this.#path('tags/list'), query, signal },
        this.#pull(),
      );
      const page = tagsIn(await response.bytes());
      tags.push(...page);
      const isMore = response.headers['link'] !== undefined && page.length > 0 && tags.length < TAGS_MAX;
      if (!isMore) return tags;
    }
  }

  #path(rest: string): string {
    return `/v2/${this.#opts.repository}/${rest}`;
  }

  #pull(): Scope[] {
    return [`repository:${this.#opts.repository}:pull`];
  }

  #push(): Scope[] {
    return [`repository:${this.#opts.repository}:pull,push`];
  }

  #locationOf(response: HttpResponse): URL {
    const { location } = response.headers;
    const url = location === undefined ? undefined : URL.parse(location, this.#opts.endpoint.href);
    if (!url) throw new ShoalError('UNAVAILABLE', 'the registry does not say where to upload to');
    return url;
  }

  async #ask({ path, query = {}, ...request }: Ask, scopes: readonly Scope[]): Promise<HttpResponse> {
    const url = new URL(path, this.#opts.endpoint);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return await this.#askUrl({ ...request, url }, scopes);
  }

  /** Asks, and once more with what a challenge wants. */
  async #askUrl(request: HttpRequest, scopes: readonly Scope[]): Promise<HttpResponse> {
    const first = await this.#sendOnce(request, scopes);
    if (first.status < 300) return first;
    const mayRepeat = request.body === undefined || request.body instanceof Uint8Array;
    if (first.status !== 401 || !mayRepeat || !this.#authorizer.take(first))
      throw await registryError(request, first);
    first.drop();
    const second = await this.#sendOnce(request, scopes);
    if (second.status < 300) return second;
    throw await registryError(request, second);
  }

  async #sendOnce(request: HttpRequest, scopes: readonly Scope[]): Promise<HttpResponse> {
    const authorization = await this.#authorizer.header(scopes, request.signal);
    const headers = { ...request.headers, ...(authorization !== undefined && { authorization }) };
    return await this.#send({ ...request, headers });
  }
}

/** A page of tags; what can't be one is left out, as nobody could ask for it. */
function tagsIn(bytes: Buffer): string[] {
  const list = answerOf(bytes)['tags'] ?? [];
  return Array.isArray(list) ? list.filter((tag) => typeof tag === 'string' && isTag(tag)) : [];
}

/** A stream without its first bytes. */
async function* from(chunks: AsyncIterable<Uint8Array>, offset: number): AsyncGenerator<Uint8Array> {
  let skip = offset;
  for await (const chunk of chunks) {
    if (chunk.length > skip) yield chunk.subarray(skip);
    skip = Math.max(0, skip - chunk.length);
  }
}
