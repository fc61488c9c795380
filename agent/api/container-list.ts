import { ShoalError } from '#proto/base/errors.ts';
import { type Filters, fits, fitsLabels, flagFilter, parseFilters } from '#proto/http/filters.ts';
import { boolQuery } from '#proto/http/types.ts';
import type { Container } from '../core/container.ts';
import { namesByLinks } from '../core/links.ts';
import type { Engine } from '../core/open-engine.ts';
import { mountView, networksView, portList } from './container-views.ts';
import { humanDuration } from './duration.ts';

const KEYS = [
  'ancestor',
  'before',
  'exited',
  'expose',
  'health',
  'id',
  'is-task',
  'isolation',
  'label',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
];
const STATUSES = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'];

const HEALTHS = ['none', 'starting', 'healthy', 'unhealthy'];

/** GET /containers/json: the containers that were asked for, newest first. */
export async function listContainers(
  engine: Engine,
  query: URLSearchParams,
): Promise<Record<string, unknown>[]> {
  const filters = parseFilters(query, KEYS);
  const limit = Number(query.get('limit') ?? 0);
  const asksForState = filters.has('status') || filters.has('exited');
  const all = boolQuery(query, 'all') || limit > 0 || asksForState;
  for (const key of ['before', 'since'])
    for (const container of filters.get(key) ?? []) engine.containers.find(container);
  checkWords(filters, 'status', STATUSES);
  checkWords(filters, 'health', HEALTHS);
  const chosen = engine.containers
    .all()
    .filter((container) => (all || container.isRunning) && isChosen(container, filters, engine))
    .sort((a, b) => b.spec.createdAt.localeCompare(a.spec.createdAt));
  const shown = limit > 0 ? chosen.slice(0, limit) : chosen;
  const nowMs = engine.parts.clock.wallMs();
  const linkNames = namesByLinks(engine.parts.containers);
  const views = shown.map((container) => listView(container, nowMs, linkNames.get(container.id)));
  return boolQuery(query, 'size') ? withSizes(engine, shown, views) : views;
}

function checkWords(filters: Filters, key: string, known: readonly string[]): void {
  for (const word of filters.get(key) ?? [])
    if (!known.includes(word)) throw new ShoalError('INVALID_ARGUMENT', `invalid filter '${key}=${word}'`);
}

async function withSizes(
  { parts: { rootfs } }: Engine,
  containers: readonly Container[],
  views: readonly Record<string, unknown>[],
): Promise<Record<string, unknown>[]> {
  return Promise.all(
    views.map(async (view, index) => {
      const { id, imageId } = (containers[index] as Container).spec;
      return {
        ...view,
        SizeRw: await rootfs.changedBytes(id),
        SizeRootFs: await rootfs.totalBytes(id, imageId),
      };
    }),
  );
}

/** One line of `docker ps`; `linkNames`: what others call it. */
export function listView(
  container: Container,
  nowMs: number,
  linkNames: readonly string[] = [],
): Record<string, unknown> {
  const { spec, run } = container;
  return {
    Id: spec.id,
    Names: [spec.name, ...linkNames].map((name) => `/${name}`),
    Image: spec.config.Image,
    ImageID: spec.imageId,
    Command: [spec.path, ...spec.args.map((word) => (word.includes(' ') ? `'${word}'` : word))].join(' '),
    Created: Math.floor(Date.parse(spec.createdAt) / 1000),
    Ports: portList(container),
    Labels: spec.config.Labels ?? {},
    State: run.status,
    Status: statusText(container, nowMs),
    HostConfig: { NetworkMode: spec.hostConfig.NetworkMode ?? 'bridge' },
    NetworkSettings: { Networks: networksView(container) },
    Mounts: spec.mounts.map(mountView),
  };
}

/** `Up 3 minutes (healthy)`, `Exited (0) 5 seconds ago`. */
export function statusText({ run }: Container, nowMs: number): string {
  const ago = (at: string): string => humanDuration(nowMs - Date.parse(at));
  switch (run.status) {
    case 'running':
      return `Up ${ago(run.startedAt)}${healthText(run.health?.Status)}`;
    case 'paused':
      return `Up ${ago(run.startedAt)} (Paused)`;
    case 'restarting':
      return `Restarting (${run.exitCode}) ${ago(run.finishedAt)} ago`;
    case 'exited':
      return run.finishedAt.startsWith('0001')
        ? 'Created'
        : `Exited (${run.exitCode}) ${ago(run.finishedAt)} ago`;
    case 'removing':
      return 'Removal In Progress';
    case 'dead':
      return 'Dead';
    case 'created':
      return 'Created';
  }
}

function healthText(status: string | undefined): string {
  if (status === undefined || status === 'none') return '';
  return status === 'starting' ? ' (health: starting)' : ` (${status})`;
}

function isChosen(container: Container, filters: Filters, engine: Engine): boolean {
  const { spec, run } = container;
  const isTask = flagFilter(filters, 'is-task');
  return (
    fits(filters, 'id', (value) => spec.id.startsWith(value)) &&
    fits(filters, 'name', (value) => nameMatches(spec.name, value)) &&
    fits(filters, 'status', (value) => run.status === value) &&
    fits(filters, 'exited', (value) => run.status === 'exited' && run.exitCode === exitCodeOf(value)) &&
    fits(filters, 'health', (value) => (run.health?.Status ?? 'none') === value) &&
    fits(filters, 'ancestor', (value) => isOfImage(container, value)) &&
    fits(filters, 'before', (value) => spec.createdAt < engine.containers.find(value).spec.createdAt) &&
    fits(filters, 'since', (value) => spec.createdAt > engine.containers.find(value).spec.createdAt) &&
    fits(filters, 'network', (value) => isOnNetwork(container, value)) &&
    fits(filters, 'volume', (value) =>
      spec.mounts.some(({ name, destination, source }) => [name, destination, source].includes(value)),
    ) &&
    fits(filters, 'publish', (value) => hasPort(container, value, true)) &&
    fits(filters, 'expose', (value) => hasPort(container, value, false)) &&
    (isTask === undefined || 'com.docker.swarm.task.id' in (spec.config.Labels ?? {}) === isTask) &&
    fitsLabels(filters, spec.config.Labels)
  );
}

/** A regular expression over the name, with or without its slash. */
function nameMatches(name: string, pattern: string): boolean {
  try {
    const expression = new RegExp(pattern);
    return expression.test(name) || expression.test(`/${name}`);
  } catch {
    return false;
  }
}

function exitCodeOf(value: string): number {
  if (/^-?\d+$/.test(value)) return Number(value);
  throw new ShoalError('INVALID_ARGUMENT', `invalid filter 'exited=${value}'`);
}

function isOfImage({ spec }: Container, value: string): boolean {
  const { Image } = spec.config;
  const id = spec.imageId.replace(/^sha256:/, '');
  const wanted = value.replace(/^sha256:/, '');
  return (
    Image === value ||
    Image === `${value}:latest` ||
    `${Image}:latest` === value ||
    (wanted.length >= 4 && id.startsWith(wanted))
  );
}

function isOnNetwork(container: Container, value: string): boolean {
  return Object.entries(networksView(container)).some(
    ([name, { NetworkID }]) => name === value || NetworkID === value,
  );
}

/** `80`, `80/tcp`, `8000-8010/udp`. */
function hasPort(container: Container, value: string, published: boolean): boolean {
  const [range = '', protocol = 'tcp'] = value.split('/');
  const [first = 0, last = first] = range.split('-').map(Number);
  return portList(container).some(({ PrivatePort, PublicPort, Type }) => {
    const port = Number(published ? PublicPort : PrivatePort);
    return Type === protocol && port >= first && port <= last;
  });
}
