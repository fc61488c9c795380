import type { Duplex } from 'node:stream';
import { ShoalError } from '#proto/base/errors.ts';
import { type ApiRequest, boolQuery, type Reply, stream } from '#proto/http/types.ts';
import type { Container } from '../core/container.ts';
import { emitContainer } from '../core/container-events.ts';
import type { LogOpts, LogRecord } from '../core/engine.ts';
import type { Attachment } from '../core/io.ts';
import type { Engine } from '../core/open-engine.ts';
import { parseDetachKeys } from './detach-keys.ts';
import { frame, streamType } from './frames.ts';
import { pumpInput, writeTo } from './pump.ts';

const NS_PER_SECOND = 1_000_000_000n;

/** GET /containers/{id}/logs. */
export function logs({ containers }: Engine, { params, query, version, signal }: ApiRequest): Reply {
  const opts = logOpts(query);
  const container = containers.mustKeepLogs(params['id'] as string);
  const { Tty: tty = false, Labels } = container.spec.config;
  const records = containers.logs(container.id, opts, signal);
  const shape: LogShape = {
    tty,
    timestamps: boolQuery(query, 'timestamps'),
    details: boolQuery(query, 'details') ? detailsOf(container, Labels ?? {}) : undefined,
  };
  return stream(streamType(tty, version.minor), shaped(records, shape));
}

function logOpts(query: URLSearchParams): LogOpts {
  const stdout = boolQuery(query, 'stdout');
  const stderr = boolQuery(query, 'stderr');
  if (!stdout && !stderr)
    throw new ShoalError('INVALID_ARGUMENT', 'Bad parameters: you must choose at least one stream');
  const since = momentNs(query.get('since'));
  const until = momentNs(query.get('until'));
  const tail = query.get('tail') ?? 'all';
  return {
    stdout,
    stderr,
    follow: boolQuery(query, 'follow'),
    ...(since > 0n ? { sinceNs: since } : {}),
    ...(until > 0n ? { untilNs: until } : {}),
    ...(/^\d+$/.test(tail) ? { tail: Number(tail) } : {}),
  };
}

/** Seconds since 1970 with up to nine decimals, exactly. */
export function momentNs(text: string | null): bigint {
  if (text === null || text === '') return 0n;
  const match = /^(\d+)(?:\.(\d{1,9}))?$/.exec(text);
  if (!match) throw new ShoalError('INVALID_ARGUMENT', `invalid timestamp: ${text}`);
  return BigInt(match[1] as string) * NS_PER_SECOND + BigInt((match[2] ?? '').padEnd(9, '0'));
}

interface LogShape {
  readonly tty: boolean;
  readonly timestamps: boolean;
  /** `a=b,c=d`, when details are wanted. */
  readonly details: string | undefined;
}

async function* shaped(records: AsyncIterable<LogRecord>, shape: LogShape): AsyncGenerator<Uint8Array> {
  let starts = true;
  for await (const record of records) {
    const prefix = starts ? prefixOf(record, shape) : '';
    starts = record.data.at(-1) === NEWLINE;
    const data = prefix === '' ? record.data : Buffer.concat([Buffer.from(prefix), record.data]);
    yield shape.tty ? data : frame(record.stream, data);
  }
}

const NEWLINE = 0x0a;

function prefixOf({ at }: LogRecord, { timestamps, details }: LogShape): string {
  return `${timestamps ? `${at} ` : ''}${details === undefined ? '' : `${details} `}`;
}

/** What `--log-opt labels=…` and `env=…` ask to be said with every line. */
function detailsOf({ spec }: Container, labels: Readonly<Record<string, string>>): string {
  const { labels: labelNames = '', env: envNames = '' } = spec.hostConfig.LogConfig?.Config ?? {};
  const env = new Map((spec.config.Env ?? []).map((entry) => [entry.split('=', 1)[0] as string, entry]));
  const chosen = [
    ...labelNames.split(',').flatMap((name) => (name in labels ? [`${name}=${labels[name]}`] : [])),
    ...envNames.split(',').flatMap((name) => env.get(name) ?? []),
  ];
  return chosen.sort().join(',');
}

/** POST /containers/{id}/attach: the container's streams, on the connection itself. */
export async function attach(engine: Engine, request: ApiRequest): Promise<Reply> {
  const { params, query, version } = request;
  const container = engine.containers.find(params['id'] as string);
  const tty = container.spec.config.Tty ?? false;
  const wants = joining(query, !tty);
  join(engine, container, wants, () => request.hijack(streamType(tty, version.minor)));
  return { kind: 'hijacked' };
}

/** What of a container's streams a client asks for. */
export interface Joining {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** What was said before. */
  readonly logs: boolean;
  /** What is said from now on. */
  readonly live: boolean;
  /** The client tells the streams apart by their frames. */
  readonly framed: boolean;
  readonly detachKeys: Buffer;
}

/** INVALID_ARGUMENT for keys that there are not. */
export function joining(query: URLSearchParams, framed: boolean): Joining {
  return {
    stdin: boolQuery(query, 'stdin'),
    stdout: boolQuery(query, 'stdout'),
    stderr: boolQuery(query, 'stderr'),
    logs: boolQuery(query, 'logs'),
    live: boolQuery(query, 'stream'),
    framed,
    detachKeys: parseDetachKeys(query.get('detachKeys')),
  };
}

/** Joins a client to a container. `open` is called when nothing can be refused any more. */
export function join(engine: Engine, container: Container, wants: Joining, open: () => Duplex): void {
  const { Tty: tty = false, OpenStdin: hasStdin = false } = container.spec.config;
  const attachment = wants.live ? engine.containers.attach(container.id) : undefined;
  const client = open();
  const show = async ({ stream: from, data }: Pick<LogRecord, 'stream' | 'data'>): Promise<void> => {
    if (wants[from]) await writeTo(client, wants.framed ? frame(from, data) : data);
  };
  client.once('close', () => attachment?.close());
  if (attachment && hasStdin && wants.stdin)
    void feed(engine, container, attachment, client, tty ? wants.detachKeys : undefined);
  else void pumpInput(client, { write: async () => undefined, end: () => undefined }, undefined);
  void (async () => {
    if (wants.logs) await replay(engine, container, show);
    if (attachment) for await (const chunk of attachment.output) await show(chunk);
    client.end();
  })().catch(() => client.destroy());
}

async function feed(
  engine: Engine,
  container: Container,
  attachment: Attachment,
  client: Duplex,
  detachKeys: Buffer | undefined,
): Promise<void> {
  const sink = { write: (data: Uint8Array) => attachment.write(data), end: () => attachment.endInput() };
  const how = await pumpInput(client, sink, detachKeys);
  if (how === 'ended') return;
  emitContainer(engine.parts.events, container, 'detach');
  attachment.close();
}

async function replay(
  { containers }: Engine,
  container: Container,
  show: (record: LogRecord) => Promise<void>,
): Promise<void> {
  const opts = { stdout: true, stderr: true, follow: false };
  for await (const record of containers.logs(container.id, opts)) await show(record);
}
