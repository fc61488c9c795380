import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import type { Log } from '#proto/base/log.ts';

const TASKS = '/proc/self/task';
/** Nice value of everything in our session, where the kernel shares the processor between sessions first (sched(7)). */
const SESSION = '/proc/self/autogroup';
/** As the engine names the threads that help to collect garbage and to compile. */
const HELPER = 'V8Worker';
/** Nice value; that of the Raft thread. */
const PRIORITY = -10;

/**
 * Lets a manager run before containers, so that a processor they keep full holds up no heartbeat. The Raft thread's own
 * priority is not enough for that: the kernel may weigh it within our session only, and it waits for the threads that
 * collect garbage. Containers have sessions of their own. Without the right to it we do without.
 */
export function takePrecedence(log: Log): void {
  try {
    if (existsSync(SESSION)) writeFileSync(SESSION, String(PRIORITY));
    for (const thread of helperThreads()) setPriority(thread, PRIORITY);
  } catch (error) {
    log.debug('this manager runs at the usual priority', { err: error });
  }
}

/** The ids of the threads that collect garbage. */
export function helperThreads(): readonly number[] {
  return readdirSync(TASKS)
    .filter((thread) => readFileSync(`${TASKS}/${thread}/comm`, 'utf8').trim() === HELPER)
    .map(Number);
}
