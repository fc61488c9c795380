import type { Clock } from '#proto/base/clock.ts';
import { codeOf, FAILURES, ShoalError } from '#proto/base/errors.ts';
import { LIMITS } from '#proto/base/limits.ts';
import { Wake } from '#proto/base/wake.ts';
import { readAll, readJson } from '#proto/http/body.ts';
import type { Call, CallResult } from '#proto/http/call.ts';
import type { ApiRequest, Reply } from '#proto/http/types.ts';
import { NotLeaderError } from '#proto/rpc/status.ts';
import type { Implementation } from '#proto/rpc/types.ts';
import type { Member } from '../consensus/consensus.ts';
import type { ManagerParts } from './manager.ts';

/*
 * Only the leader changes the cluster. A request for a change that reaches another manager is handed to it whole, and
 * its reply handed back.
 */

/** Says that a manager has sent the request on: it is not sent on a second time. */
const FORWARDED = 'shoal-forwarded';
/** What of a request's head matters to those who answer it. */
const HEADERS_KEPT = ['content-type', 'x-registry-auth', 'x-registry-config'];
/** How long a request waits for somebody to lead: longer than an election takes. */
const LEADER_WAIT_MS = 5_000;
/** A manager that said it does not lead is asked again after this, unless the lead changes first. */
const ASK_AGAIN_MS = 200;

/** The leader may have to look an image up, and then to write. */
const ANSWER_MS_MAX = LIMITS.requestTimeoutMs * 2;

const NO_LEADER =
  "The swarm does not have a leader. It's possible that too few managers are online. Make sure more than half of the managers are online.";

export function noLeader(): ShoalError {
  return new ShoalError('UNAVAILABLE', NO_LEADER);
}

type Leading = Pick<ManagerParts, 'consensus' | 'dialer' | 'leaderless'>;
type Timing = Pick<Clock, 'timer' | 'monotonicMs'>;

/** How often a change that was begun here, and lost to a change of the lead, is made anew. */
const TRIES_MAX = 3;

/** Handles a request here when this manager leads, else on the leader. UNAVAILABLE when nobody leads. */
export async function onLeader(
  parts: Leading,
  clock: Timing,
  request: ApiRequest,
  handle: (request: ApiRequest) => Promise<Reply> | Reply,
): Promise<Reply> {
  if (request.headers[FORWARDED] !== undefined) {
    if (!parts.consensus.leadership().leading) throw noLeader();
    return handle(request);
  }
  const call = await callOf(request);
  const here = async (): Promise<Reply> => handle(again(request, call.body));
  return whereverLed(parts, clock, { call, signal: request.signal, here, away: replyOf });
}

/** Something to do where the lead is: here, or by a call that is answered elsewhere. */
export interface Errand<T> {
  readonly call: Call;
  readonly signal: AbortSignal;
  readonly here: () => Promise<T>;
  readonly away: (answer: Answer) => T;
}

/**
 * Does something on the manager that leads. What the lead was lost over before anything was changed is done again where
 * it has gone; UNAVAILABLE when nobody leads.
 */
export async function whereverLed<T>(
  parts: Leading,
  clock: Timing,
  { call, signal, here, away }: Errand<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    const answer = await callLeader(parts, clock, call, signal);
    if (answer !== 'here') return away(answer);
    try {
      return await here();
    } catch (error) {
      const isLost = codeOf(error) === 'UNAVAILABLE' && !parts.consensus.leadership().leading;
      if (!isLost || tries === TRIES_MAX) throw error;
    }
  }
}

/**
 * Hands a request to the leader and gives its reply; `here` when this manager has come to lead, and nobody was asked.
 * UNAVAILABLE when nobody leads.
 */
async function callLeader(
  { consensus, dialer, leaderless }: Leading,
  clock: Timing,
  call: Call,
  signal: AbortSignal,
): Promise<Answer | 'here'> {
  // Who has waited so long already is not joined in waiting.
  if ((leaderless?.()?.forMs ?? 0) > LEADER_WAIT_MS) throw noLeader();
  const untilMs = clock.monotonicMs() + LEADER_WAIT_MS;
  const wake = new Wake();
  const stop = consensus.onLeadership(() => wake.up());
  try {
    while (clock.monotonicMs() < untilMs) {
      const { leading, leader } = consensus.leadership();
      if (leading) return 'here';
      const answer = leader && (await ask(dialer, leader, call, signal));
      if (answer !== undefined) return answer;
      await wake.within(ASK_AGAIN_MS, clock, signal);
    }
    throw noLeader();
  } finally {
    stop();
  }
}

/** A reply as it came. */
export type Answer = Omit<CallResult, 'body'> & { readonly body: Uint8Array };

async function callOf({ method, target, headers, body }: ApiRequest): Promise<Call> {
  const kept = HEADERS_KEPT.flatMap((name) => {
    const value = headers[name];
    return typeof value === 'string' ? [[name, value]] : [];
  });
  const bytes = await readAll(body, LIMITS.httpBodyBytesMax);
  return { method, target, headers: Object.fromEntries(kept), body: bytes };
}

/** The leader's reply; undefined when it does not lead (any more). */
async function ask(
  dialer: ManagerParts['dialer'],
  { controlAddr }: Member,
  { method, target, headers, body }: Call,
  signal: AbortSignal,
): Promise<Answer | undefined> {
  try {
    const client = dialer.client('Control', controlAddr, 'manager');
    const call = { method, target, headers: headers as Record<string, string>, body };
    return await client.call(call, { signal, timeoutMs: ANSWER_MS_MAX });
  } catch (error) {
    if (error instanceof NotLeaderError) return undefined;
    throw error;
  }
}

function replyOf({ status, headers, body }: Answer): Reply {
  const { 'content-type': contentType, ...others } = headers;
  if (contentType === undefined) return { kind: 'empty', status, headers: others };
  return { kind: 'bytes', status, contentType, body, headers: others };
}

/** The request, with its body to be read once more. */
function again(request: ApiRequest, bytes: Uint8Array): ApiRequest {
  const body = (async function* () {
    yield bytes;
  })();
  return { ...request, body, json: <T>() => readJson<T>(request.headers, body) };
}

const UNAVAILABLE = FAILURES.UNAVAILABLE.http;

export interface ControlServiceModules extends Pick<ManagerParts, 'store' | 'consensus'> {
  /** Runs a request on the routes of this manager. */
  readonly run: (call: Call, signal: AbortSignal) => Promise<CallResult>;
}

/** What other managers ask of the one that leads. */
export function controlService({ store, consensus, run }: ControlServiceModules): Implementation<'Control'> {
  return {
    async call({ method, target, headers, body }, { signal }) {
      const { leading, leader } = consensus.leadership();
      if (!leading) throw new NotLeaderError(leader?.controlAddr);
      const result = await run({ method, target, headers: { ...headers, [FORWARDED]: '1' }, body }, signal);
      const now = consensus.leadership();
      // Nothing was changed, then: whoever leads now is to be asked.
      if (result.status === UNAVAILABLE && !now.leading) throw new NotLeaderError(now.leader?.controlAddr);
      return result;
    },
    async readIndex(_request, { signal }) {
      await store.readBarrier(signal);
      return { index: store.view().version };
    },
  };
}
