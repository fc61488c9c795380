import { type Filters, fits, parseFilters, parseMoment } from '#proto/http/filters.ts';
import { type ApiRequest, type Reply, type Route, stream } from '#proto/http/types.ts';
import type { EngineEvent } from '../core/events.ts';
import type { Engine } from '../core/open-engine.ts';

const KEYS = [
  'config',
  'container',
  'daemon',
  'event',
  'image',
  'label',
  'network',
  'node',
  'plugin',
  'scope',
  'secret',
  'service',
  'type',
  'volume',
];
const NS_PER_MS = 1_000_000;

/** What happens on this machine, and to its cluster while it manages one. */
export function eventRoutes({ engine }: { engine: Engine }): Route[] {
  return [{ method: 'GET', path: '/events', handle: (request) => events(engine, request) }];
}

function events({ parts }: Engine, { query, signal }: ApiRequest): Reply {
  const filters = parseFilters(query, KEYS);
  const nowMs = parts.clock.wallMs();
  const since = query.get('since') ? parseMoment(query.get('since') as string, nowMs) : undefined;
  const until = query.get('until') ? parseMoment(query.get('until') as string, nowMs) : undefined;
  return stream('application/json', lines(parts, { since, until, filters }, signal));
}

interface Wanted {
  /** Milliseconds since 1970. */
  readonly since: number | undefined;
  readonly until: number | undefined;
  readonly filters: Filters;
}

async function* lines(
  { events, clock }: Pick<Engine['parts'], 'events' | 'clock'>,
  { since, until, filters }: Wanted,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const over = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  const leftMs = (until ?? 0) - clock.wallMs();
  const fromNs = since === undefined ? undefined : BigInt(Math.floor(since * NS_PER_MS));
  const past = until !== undefined && leftMs <= 0;
  const cancel = until !== undefined && !past ? clock.timer(leftMs, () => over.abort()) : undefined;
  const chosen = (event: EngineEvent): boolean =>
    fitsFilters(event, filters) && (until === undefined || Number(event.timeNs) / NS_PER_MS <= until);
  try {
    const source = past ? events.since(fromNs ?? 0n) : events.stream(fromNs, stop);
    for await (const event of source) if (chosen(event)) yield `${eventLine(event)}\n`;
  } finally {
    cancel?.();
  }
}

/** By hand, because a nanosecond time is more than a JavaScript number holds. */
function eventLine({ type, action, id, attributes, scope, timeNs }: EngineEvent): string {
  const known = type === 'container' ? { status: action, id, from: attributes['image'] ?? '' } : {};
  const body = {
    ...known,
    Type: type,
    Action: action,
    Actor: { ID: id, Attributes: attributes },
    scope,
    time: Number(timeNs / 1_000_000_000n),
  };
  return `${JSON.stringify(body).slice(0, -1)},"timeNano":${timeNs}}`;
}

function fitsFilters(event: EngineEvent, filters: Filters): boolean {
  const { type, action, id, attributes } = event;
  const isObject = (kind: string): boolean =>
    fits(filters, kind, (value) => type === kind && (id.startsWith(value) || attributes['name'] === value));
  const image = attributes['image'] ?? '';
  return (
    fits(filters, 'type', (value) => type === value) &&
    fits(filters, 'event', (value) => action === value || action.startsWith(`${value}:`)) &&
    fits(filters, 'scope', (value) => event.scope === value) &&
    fits(filters, 'image', (value) => [image, image.split(':')[0], id, attributes['name']].includes(value)) &&
    ['container', 'network', 'volume', 'daemon', 'service', 'node', 'secret', 'config', 'plugin'].every(
      isObject,
    ) &&
    (filters.get('label') ?? []).every((label) => hasAttribute(attributes, label))
  );
}

function hasAttribute(attributes: Readonly<Record<string, string>>, wanted: string): boolean {
  const [name = '', value] = wanted.split('=', 2);
  return name in attributes && (value === undefined || attributes[name] === value);
}
