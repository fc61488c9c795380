import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 150;

/** What must come may take so long on a machine that is busy with other things; a test that waits longer hangs. */
export const PATIENCE_MS = 180_000;

/** Aborts when patience is at its end: for what takes a signal. */
export function patience(): AbortSignal {
  return AbortSignal.timeout(PATIENCE_MS);
}

/**
 * Asks again and again until the answer is neither false nor undefined, and gives it back. What it throws meanwhile
 * counts as no; after `deadlineMs` it is the reason given.
 */
export async function waitFor<T>(
  what: string,
  ask: () => Promise<T | false | undefined> | T | false | undefined,
  deadlineMs = PATIENCE_MS,
): Promise<T> {
  const untilMs = performance.now() + deadlineMs;
  for (;;) {
    let reason = '';
    try {
      const answer = await ask();
      if (answer !== false && answer !== undefined) return answer;
    } catch (error) {
      reason = `: ${(error as Error).message}`;
    }
    if (performance.now() > untilMs) throw new Error(`not within ${deadlineMs / 1000} s: ${what}${reason}`);
    await sleep(POLL_MS);
  }
}
