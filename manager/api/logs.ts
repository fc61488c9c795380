import { ShoalError } from '#proto/base/errors.ts';
import { type ApiRequest, boolQuery, type Reply, type Route, stream } from '#proto/http/types.ts';
import { findService, findTask } from '../control/lookup.ts';
import { framed } from '../logs/frames.ts';
import type { LogOpts, LogSelector } from '../logs/records.ts';
import type { StoreView } from '../store/view.ts';
import { type Handlers, param } from './handlers.ts';
import type { ManagerParts } from './manager.ts';

export function logRoutes({ reads }: Handlers): Route[] {
  return [
    { method: 'GET', path: '/services/{id}/logs', handle: reads(ofService) },
    { method: 'GET', path: '/tasks/{id}/logs', handle: reads(ofTask) },
  ];
}

function ofService(view: StoreView, request: ApiRequest, parts: ManagerParts): Reply {
  const opts = optsOf(request);
  const { id, spec } = findService(view, param(request, 'id'));
  return answer({ serviceId: id }, opts, request, parts, spec.task.container.tty ?? false);
}

function ofTask(view: StoreView, request: ApiRequest, parts: ManagerParts): Reply {
  const opts = optsOf(request);
  const { id, serviceId, specVersion } = findTask(view, param(request, 'id'));
  const tty = view.revision(serviceId, specVersion)?.task.container.tty ?? false;
  return answer({ taskId: id }, opts, request, parts, tty);
}

const RAW_STREAM = 'application/vnd.docker.raw-stream';
const MULTIPLEXED_STREAM = 'application/vnd.docker.multiplexed-stream';
/** Before, both kinds were called raw. */
const MULTIPLEXED_SINCE_MINOR = 42;

function answer(
  selector: LogSelector,
  opts: LogOpts,
  { query, version, signal }: ApiRequest,
  { logs }: ManagerParts,
  tty: boolean,
): Reply {
  const type = tty || version.minor < MULTIPLEXED_SINCE_MINOR ? RAW_STREAM : MULTIPLEXED_STREAM;
  const shape = {
    multiplexed: !tty,
    timestamps: boolQuery(query, 'timestamps'),
    details: boolQuery(query, 'details'),
  };
  return stream(type, framed(logs.read(selector, opts, signal), shape));
}

function optsOf({ query }: ApiRequest): LogOpts {
  const stdout = boolQuery(query, 'stdout');
  const stderr = boolQuery(query, 'stderr');
  if (!stdout && !stderr)
    throw new ShoalError('INVALID_ARGUMENT', 'Bad parameters: you must choose at least one stream');
  const sinceNs = momentNs(query.get('since'));
  const untilNs = momentNs(query.get('until'));
  const tail = tailOf(query.get('tail') ?? '');
  return {
    stdout,
    stderr,
    follow: boolQuery(query, 'follow'),
    ...(sinceNs !== undefined && { sinceNs }),
    ...(untilNs !== undefined && { untilNs }),
    ...(tail !== undefined && { tail }),
  };
}

const TAIL_MAX = 2 ** 31 - 1;

function tailOf(text: string): number | undefined {
  if (text === '' || text === 'all') return undefined;
  const lines = Number(text);
  if (/^\d+$/.test(text)) return Math.min(lines, TAIL_MAX);
  if (/^-\d+$/.test(text)) throw new ShoalError('INVALID_ARGUMENT', 'negative tail values not supported');
  throw new ShoalError('INVALID_ARGUMENT', 'tail value must be a positive integer or "all"');
}

const NS_PER_SECOND = 1_000_000_000n;

/** Seconds since 1970 with up to nine decimals, exactly; 0 and nothing are no bound. */
function momentNs(text: string | null): bigint | undefined {
  if (text === null || /^0*(\.0*)?$/.test(text)) return undefined;
  const match = /^(\d+)(?:\.(\d{1,9}))?$/.exec(text);
  if (!match) throw new ShoalError('INVALID_ARGUMENT', `invalid timestamp: ${text}`);
  return BigInt(match[1] as string) * NS_PER_SECOND + BigInt((match[2] ?? '').padEnd(9, '0'));
}
