import type { Clock } from '#proto/base/clock.ts';
import { codeOf, ShoalError } from '#proto/base/errors.ts';
import { type ApiHandler, type ApiRequest, boolQuery, type Reply } from '#proto/http/types.ts';
import type { Consensus } from '../consensus/consensus.ts';
import type { StoreView } from '../store/view.ts';
import { noLeader, onLeader } from './forward.ts';
import { type ClusterApiModules, DISK_FULL, type ManagerParts, requireManager } from './manager.ts';
import { withReason } from './quorum.ts';

/** What the two kinds of requests to a cluster are handled with. */
export interface Handlers {
  /**
   * For what only looks: on any manager, with a view that shows everything acknowledged before; with `?stale=1` with what
   * this manager has, which needs no quorum, and is marked as such.
   */
  reads(
    handle: (view: StoreView, request: ApiRequest, parts: ManagerParts) => Promise<Reply> | Reply,
  ): ApiHandler;
  /** For what changes something: on the manager that leads. */
  writes(handle: (parts: ManagerParts, request: ApiRequest) => Promise<Reply>): ApiHandler;
}

export function handlersOf(modules: Pick<ClusterApiModules, 'manager' | 'clock'>): Handlers {
  return {
    reads: (handle) => async (request) => {
      const parts = requireManager(modules);
      if (boolQuery(request.query, 'stale')) return asStale(await handle(parts.store.view(), request, parts));
      const { clock } = modules;
      const view = await freshView({ ...parts, clock }, request.signal).catch(async (error: unknown) => {
        throw await withReason(error, parts);
      });
      return handle(view, request, parts);
    },
    writes: (handle) => async (request) => {
      const parts = requireManager(modules);
      const reply = onLeader(parts, modules.clock, request, async (own) => {
        // Who has come to lead only now may still have to apply what was agreed before.
        await freshView({ ...parts, clock: modules.clock }, own.signal);
        return handle(parts, own);
      });
      return reply.catch(async (error: unknown) => {
        throw inDockersWords(await withReason(error, parts));
      });
    },
  };
}

/** Says of a reply that it may be out of date. */
function asStale(reply: Reply): Reply {
  return reply.kind === 'json' ? { ...reply, headers: { ...reply.headers, 'shoal-stale': 'true' } } : reply;
}

/** Where nobody has led for so long, a read is refused at once: an election takes a fraction of this. */
const LEADERLESS_MS_MAX = 5_000;

/** Who waits for a fresh view looks this often whether there is still hope. */
const LOOK_EVERY_MS = 500;

interface FreshParts extends Pick<ManagerParts, 'store' | 'leaderless' | 'diskFull'> {
  readonly consensus: Pick<Consensus, 'leadership'>;
  /** Without it, who waits already waits as long as the store does. */
  readonly clock?: Pick<Clock, 'timer'>;
}

/**
 * A view that shows everything acknowledged before the call. UNAVAILABLE, in Docker's words, when nobody leads, and when
 * this manager can't catch up because its disk is full.
 */
export async function freshView(
  { store, consensus, leaderless, diskFull, clock }: FreshParts,
  signal?: AbortSignal,
): Promise<StoreView> {
  const nobodyComes = (): boolean => (leaderless?.()?.forMs ?? 0) > LEADERLESS_MS_MAX;
  if (nobodyComes()) throw noLeader();
  const whyInVain = (): ShoalError | undefined => {
    if (nobodyComes()) return noLeader();
    return diskFull?.() ? new ShoalError('UNAVAILABLE', DISK_FULL) : undefined;
  };
  using patience = clock && new Patience(clock, whyInVain);
  const signals = [signal, patience?.signal].filter((each) => each !== undefined);
  try {
    await store.readBarrier(signals.length > 1 ? AbortSignal.any(signals) : signals[0]);
  } catch (error) {
    throw consensus.leadership().leader === undefined && !signal?.aborted ? noLeader() : error;
  }
  return store.view();
}

/** Aborts its signal once there is a reason why waiting is in vain. */
class Patience implements Disposable {
  readonly #over = new AbortController();
  #cancel: () => void;

  constructor(clock: Pick<Clock, 'timer'>, whyInVain: () => ShoalError | undefined) {
    const look = (): void => {
      const reason = whyInVain();
      if (reason !== undefined) this.#over.abort(reason);
      else this.#cancel = clock.timer(LOOK_EVERY_MS, look);
    };
    this.#cancel = clock.timer(LOOK_EVERY_MS, look);
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  [Symbol.dispose](): void {
    this.#cancel();
  }
}

/** Tools match on this text. */
const OUT_OF_SEQUENCE = 'rpc error: code = Unknown desc = update out of sequence';

function inDockersWords(error: unknown): unknown {
  if (codeOf(error) !== 'OUT_OF_SEQUENCE') return error;
  return new ShoalError('OUT_OF_SEQUENCE', OUT_OF_SEQUENCE, { cause: error });
}

/** The version that a change is made from. INVALID_ARGUMENT, in Go's words, when it is no number. */
export function versionQuery({ query }: ApiRequest, kind: string): number {
  const text = query.get('version') ?? '';
  const version = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(version)) return version;
  const reason = `strconv.ParseUint: parsing "${text}": invalid syntax`;
  throw new ShoalError('INVALID_ARGUMENT', `invalid ${kind} version '${text}': ${reason}`);
}

/** A value of the route's path. */
export function param({ params }: ApiRequest, name: string): string {
  return params[name] ?? '';
}
