import { ShoalError } from '#proto/base/errors.ts';
import { type ApiRequest, boolQuery, empty, json, type Reply, type Route } from '#proto/http/types.ts';
import type { BuilderModules, BuildOptions } from '../core/build/build.ts';
import type { BuildOutput } from '../core/build/output.ts';
import type { HostConfig } from '../core/container-types.ts';
import { pruneBuildCache } from '../core/image/prune.ts';
import { parseReference } from '../core/image/reference.ts';
import { type MessageStream, streamed } from './message-stream.ts';
import { registryAuths } from './registry-auth.ts';

/** Builds that can be cancelled by the name their client gave them. */
type Running = Map<string, AbortController>;

/** Builds: /build/… */
export function buildRoutes(modules: BuilderModules): Route[] {
  const running: Running = new Map();
  return [
    { method: 'POST', path: '/build', handle: (request) => start(request, running, modules) },
    { method: 'POST', path: '/build/prune', handle: () => prune(modules) },
    { method: 'POST', path: '/build/cancel', handle: (request) => cancel(request, running) },
  ];
}

async function start(request: ApiRequest, running: Running, modules: BuilderModules): Promise<Reply> {
  const { query, headers, body, signal } = request;
  refuseOthers(query);
  const options: BuildOptions = { ...optionsOf(query), auths: registryAuths(headers) };
  const remote = query.get('remote') ?? '';
  const isQuiet = boolQuery(query, 'q');
  const cancelled = new AbortController();
  const id = query.get('buildid') ?? '';
  if (id !== '') running.set(id, cancelled);
  return await streamed(signal, async (out, stop) => {
    try {
      const output = isQuiet ? new QuietOutput(out) : new StreamOutput(out);
      // Loaded when somebody builds: a node that only runs containers needs none of it.
      const { build, remoteContext } = await import('../core/build/builder.ts');
      const either = AbortSignal.any([stop, cancelled.signal]);
      const context = remote === '' ? body : remoteContext(remote, output.progress, either);
      const image = await build(context, options, output, either, modules).catch(output.failed);
      if (isQuiet) await out.write({ stream: `${image.id}\n` });
    } finally {
      if (running.get(id) === cancelled) running.delete(id);
    }
  });
}

function refuseOthers(query: URLSearchParams): void {
  if (query.get('version') === '2') {
    throw new ShoalError(
      'INVALID_ARGUMENT',
      'BuildKit is not supported by this daemon: build with the classic builder (DOCKER_BUILDKIT=0)',
    );
  }
  if (boolQuery(query, 'squash')) {
    throw new ShoalError('INVALID_ARGUMENT', 'squash is only supported with experimental mode');
  }
}

function optionsOf(query: URLSearchParams): Omit<BuildOptions, 'auths'> {
  const [dockerfile, target, platform] = ['dockerfile', 'target', 'platform'].map(
    (name) => query.get(name) ?? '',
  );
  return {
    tags: query
      .getAll('t')
      .filter((tag) => tag !== '')
      .map(tagOf),
    buildArgs: new Map(Object.entries(jsonMap(query, 'buildargs')).filter(isGiven)),
    labels: Object.fromEntries(Object.entries(jsonMap(query, 'labels')).filter(isGiven)),
    noCache: boolQuery(query, 'nocache'),
    cacheFrom: listOf(query, 'cachefrom'),
    pull: boolQuery(query, 'pull'),
    remove: boolQuery(query, 'rm', true),
    forceRemove: boolQuery(query, 'forcerm'),
    network: query.get('networkmode') || 'default',
    host: hostConfigOf(query),
    ...(dockerfile && { dockerfile }),
    ...(target && { target }),
    ...(platform && { platform }),
  };
}

function tagOf(text: string): BuildOptions['tags'][number] {
  const reference = parseReference(text);
  if (reference.digest !== undefined) {
    throw new ShoalError('INVALID_ARGUMENT', 'build tag cannot contain a digest');
  }
  return reference;
}

function jsonMap(query: URLSearchParams, name: string): Record<string, unknown> {
  const text = query.get(name) ?? '';
  if (text === '') return {};
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed))
      return parsed as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new ShoalError('INVALID_ARGUMENT', `error reading build args: ${name} must be a JSON object`);
}

/** `--build-arg NAME` without a value that the client has none for either comes as null. */
function isGiven(entry: [string, unknown]): entry is [string, string] {
  return typeof entry[1] === 'string';
}

const NUMBERS = {
  memory: 'Memory',
  memswap: 'MemorySwap',
  cpushares: 'CpuShares',
  cpuperiod: 'CpuPeriod',
  cpuquota: 'CpuQuota',
  shmsize: 'ShmSize',
} as const;

const TEXTS = { cpusetcpus: 'CpusetCpus', cpusetmems: 'CpusetMems', cgroupparent: 'CgroupParent' } as const;

function hostConfigOf(query: URLSearchParams): Partial<HostConfig> {
  const numbers = Object.entries(NUMBERS).map(
    ([name, field]) => [field, wholeNumber(query.get(name))] as const,
  );
  const texts = Object.entries(TEXTS).map(([name, field]) => [field, query.get(name) ?? ''] as const);
  const extraHosts = listOf(query, 'extrahosts');
  const ulimits = listOf<Ulimit>(query, 'ulimits', isUlimit);
  return {
    ...Object.fromEntries([...numbers, ...texts].filter(([, value]) => value !== 0 && value !== '')),
    ...(extraHosts.length > 0 && { ExtraHosts: extraHosts }),
    ...(ulimits.length > 0 && { Ulimits: ulimits }),
  };
}

/** What is no number counts as not given, as Docker has it. */
function wholeNumber(text: string | null): number {
  const value = Number(text ?? 0);
  return Number.isSafeInteger(value) ? value : 0;
}

type Ulimit = NonNullable<HostConfig['Ulimits']>[number];

function isText(item: unknown): boolean {
  return typeof item === 'string';
}

function isUlimit(item: unknown): boolean {
  const { Name: name, Soft: soft, Hard: hard } = (item ?? {}) as Partial<Ulimit>;
  return typeof name === 'string' && [soft ?? 0, hard ?? 0].every(Number.isSafeInteger);
}

/** Items that come as JSON lists, or one at a time. */
function listOf<T = string>(query: URLSearchParams, name: string, isItem = isText): T[] {
  const items = query
    .getAll(name)
    .filter((text) => text !== '')
    .flatMap((text): unknown => (/^[[{]|^null$/.test(text) ? parsedJson(text, name) : text));
  const given = items.filter((item) => item !== null);
  if (given.every(isItem)) return given as T[];
  throw new ShoalError('INVALID_ARGUMENT', `error reading ${name} settings`);
}

function parsedJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ShoalError('INVALID_ARGUMENT', `error reading ${name} settings`, { cause: error });
  }
}

async function prune({ images }: BuilderModules): Promise<Reply> {
  const { removals, bytes } = await pruneBuildCache(images.store);
  const ids = removals.flatMap((removal) => ('Deleted' in removal ? [removal.Deleted] : []));
  return json({ CachesDeleted: ids.length > 0 ? ids : null, SpaceReclaimed: bytes });
}

function cancel({ query }: ApiRequest, running: Running): Reply {
  const id = query.get('id') ?? '';
  if (id === '') throw new ShoalError('INVALID_ARGUMENT', 'build ID not provided');
  running.get(id)?.abort(new ShoalError('CANCELLED', 'Build cancelled'));
  return empty(204);
}

interface EndingOutput extends BuildOutput {
  /** Says what went wrong, as far as it is to be said before the failure itself. */
  readonly failed: (error: unknown) => Promise<never>;
}

/** What commands print as errors is red. */
const RED = '\u001b[91m';
const PLAIN = '\u001b[0m';

/** Everything, as it happens. */
class StreamOutput implements EndingOutput {
  readonly #out: MessageStream;

  constructor(out: MessageStream) {
    this.#out = out;
  }

  async text(text: string): Promise<void> {
    if (text !== '') await this.#out.write({ stream: text });
  }

  async errorText(text: string): Promise<void> {
    if (text !== '') await this.#out.write({ stream: `${RED}${text}${PLAIN}` });
  }

  readonly progress: BuildOutput['progress'] = (progress) => this.#out.progress(progress);

  async built(imageId: string): Promise<void> {
    await this.#out.write({ aux: { ID: imageId } });
  }

  readonly failed = (error: unknown): Promise<never> => Promise.reject(error);
}

/** Output that is kept for a failure; the rest of a long one is not worth its memory. */
const KEPT_CHARS_MAX = 1024 * 1024;

/** Nothing, unless the build fails: then what it would have said. */
class QuietOutput implements EndingOutput {
  readonly #out: MessageStream;
  readonly #kept: string[] = [];
  #keptChars = 0;

  constructor(out: MessageStream) {
    this.#out = out;
  }

  text(text: string): Promise<void> {
    if (this.#keptChars < KEPT_CHARS_MAX) this.#kept.push(text);
    this.#keptChars += text.length;
    return Promise.resolve();
  }

  errorText(text: string): Promise<void> {
    return this.text(`${RED}${text}${PLAIN}`);
  }

  readonly progress = (): void => undefined;

  built(): Promise<void> {
    return Promise.resolve();
  }

  readonly failed = async (error: unknown): Promise<never> => {
    for (const text of this.#kept) await this.#out.write({ stream: text });
    throw error;
  };
}
