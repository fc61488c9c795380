import { backoffMs } from '#proto/base/backoff.ts';
import type { Clock } from '#proto/base/clock.ts';
import { codeOf, messageOf, ShoalError } from '#proto/base/errors.ts';
import type { Random } from '#proto/base/random.ts';
import { Wake } from '#proto/base/wake.ts';
import type { LogRecords } from '#proto/gen/shoal.ts';
import type { RpcDialer } from '#proto/rpc/types.ts';
import type { NodeId, TaskId } from '#proto/types/ids.ts';
import type { Node, Task } from '#proto/types/objects.ts';
import { isTerminal, TaskState } from '#proto/types/states.ts';
import type { Store } from '../store/view.ts';
import { type LogOpts, type LogRecord, nanoseconds } from './records.ts';

export interface TaskSourceModules {
  readonly store: Pick<Store, 'view' | 'subscribe'>;
  readonly dialer: Pick<RpcDialer, 'client'>;
  readonly clock: Clock;
  readonly random: Random;
  /** Hears why some of the output could not be had. */
  readonly onGap: (task: Task, reason: string) => void;
}

const RETRY = { firstMs: 200, maxMs: 5_000 };
/** Connections tried in a row without a word from the node. */
const TRIES_MAX = 6;
/** Who does not follow waits no longer than this for the next word of a node. */
const SILENCE_MS_MAX = 10_000;

/** What a task has said and, when followed, goes on to say: across broken connections, until it has ended. */
export async function* taskRecords(
  id: TaskId,
  opts: LogOpts,
  modules: TaskSourceModules,
  signal: AbortSignal,
): AsyncGenerator<LogRecord> {
  let lastNs: bigint | undefined;
  let tries = 0;
  while (!signal.aborted) {
    const place = placeOf(id, modules);
    if (place === 'gone') return;
    if (place === 'waiting') {
      if (!opts.follow) return;
      await changed(id, modules, signal);
      continue;
    }
    try {
      for await (const record of nodeRecords(
        place,
        lastNs === undefined ? opts : after(opts, lastNs),
        modules,
        signal,
      )) {
        lastNs = record.atNs;
        tries = 0;
        yield record;
      }
      return;
    } catch (error) {
      if (signal.aborted) return;
      tries++;
      if (!(await isWorthAnotherTry(place, error, tries, opts, modules, signal))) return;
    }
  }
}

interface Place {
  readonly task: Task;
  readonly nodeId: NodeId;
  /** host:port of the node's logs. */
  readonly addr: string;
}

/** Where a task's output is; `waiting` while there is none yet, `gone` when there will be none. */
function placeOf(id: TaskId, { store, onGap }: TaskSourceModules): Place | 'waiting' | 'gone' {
  const view = store.view();
  const task = view.tasks.get(id);
  if (task === undefined) return 'gone';
  if (task.nodeId === undefined || task.status.state < TaskState.Starting) return 'waiting';
  const node = view.nodes.get(task.nodeId);
  const addr = node && addrOf(node);
  if (addr !== undefined) return { task, nodeId: task.nodeId, addr };
  // What ended on a node that is no more is missed by nobody.
  if (node !== undefined || !isTerminal(task.status.state))
    onGap(task, `node ${task.nodeId} is not available`);
  return 'gone';
}

function addrOf({ status, description }: Node): string | undefined {
  return status.state === 'down' ? undefined : description?.peerAddr;
}

async function* nodeRecords(
  { task, nodeId, addr }: Place,
  opts: LogOpts,
  { dialer, clock }: TaskSourceModules,
  signal: AbortSignal,
): AsyncGenerator<LogRecord> {
  const silent = new AbortController();
  const stop = AbortSignal.any([signal, silent.signal]);
  const batches = dialer.client('NodeLogs', addr, 'node').read(requestFor(task, opts), { signal: stop });
  const iterator = batches[Symbol.asyncIterator]();
  try {
    for (;;) {
      const cancel = opts.follow ? undefined : clock.timer(SILENCE_MS_MAX, () => silent.abort(silence()));
      const next = await iterator.next().finally(() => cancel?.());
      if (next.done) return;
      yield* recordsOf(next.value, task, nodeId);
    }
  } finally {
    void iterator.return?.().catch(() => undefined);
  }
}

function silence(): ShoalError {
  return new ShoalError('DEADLINE_EXCEEDED', `the node said nothing for ${SILENCE_MS_MAX} ms`);
}

function requestFor(task: Task, { stdout, stderr, follow, sinceNs, untilNs, tail }: LogOpts) {
  return {
    taskId: task.id,
    stdout,
    stderr,
    follow,
    sinceNs: sinceNs === undefined ? '' : String(sinceNs),
    untilNs: untilNs === undefined ? '' : String(untilNs),
    tail: tail ?? -1,
  };
}

function* recordsOf({ records }: LogRecords, { id, serviceId }: Task, nodeId: NodeId): Generator<LogRecord> {
  for (const { stderr, at, data } of records)
    yield { taskId: id, serviceId, nodeId, stderr, at, atNs: nanoseconds(at), data };
}

/** What is still to be asked for when everything up to here has been told. */
function after({ tail: _, ...opts }: LogOpts, lastNs: bigint): LogOpts {
  return { ...opts, sinceNs: lastNs + 1n };
}

/** Waits until a broken stream may be taken up again; false when that is of no use. */
async function isWorthAnotherTry(
  { task }: Place,
  error: unknown,
  tries: number,
  { follow }: LogOpts,
  modules: TaskSourceModules,
  signal: AbortSignal,
): Promise<boolean> {
  const present = modules.store.view().tasks.get(task.id);
  const hasEnded = present === undefined || isTerminal(present.status.state);
  if (codeOf(error) === 'NOT_FOUND') {
    // No container: not yet, or not any more.
    if (!follow || hasEnded || tries > TRIES_MAX) return false;
  } else if (!follow || tries > TRIES_MAX) {
    modules.onGap(task, `node ${task.nodeId} is not available: ${messageOf(error)}`);
    return false;
  }
  await modules.clock.sleep(backoffMs(RETRY, tries - 1, modules.random), signal).catch(() => undefined);
  return !signal.aborted;
}

/** Resolves when something about a task has changed; or the signal has aborted. */
async function changed(id: TaskId, { store }: TaskSourceModules, signal: AbortSignal): Promise<void> {
  const wake = new Wake();
  const stop = store.subscribe(({ events }) => {
    if (events.some((event) => event.table === 'task' && event.id === id)) wake.up();
  });
  try {
    await wake.wait(signal).catch(() => undefined);
  } finally {
    stop();
  }
}
