/** Something running that can be stopped; stopping twice is harmless. */
export type Running = AsyncDisposable;

/** Starts one part. It must stop by itself when disposed, and give up starting when the signal aborts. */
export type Start = (signal: AbortSignal) => Promise<Running> | Running;

/**
 * Starts parts in order and gives back one thing that stops them in reverse. If one fails to start, those
 * already started are stopped before the failure is thrown on.
 */
export async function startAll(starts: readonly Start[]): Promise<Running> {
  await using stack = new AsyncDisposableStack();
  const stopping = new AbortController();
  for (const start of starts) stack.use(await start(stopping.signal));
  stack.defer(() => stopping.abort(new Error('stopping')));
  return stack.move();
}
