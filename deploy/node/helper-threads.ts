import { readdirSync, readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import type { Log } from '#proto/base/log.ts';

const TASKS = '/proc/self/task';
/** As the engine names the threads that help to collect garbage and to compile. */
const HELPER = 'V8Worker';
/** Nice value; that of the Raft thread. */
const PRIORITY = -10;

/**
 * Lets the threads that collect garbage run before containers, as the Raft thread does: it waits for them, so that with
 * the processor full they would hold up its heartbeats until others doubt this manager. Without the right to it we do
 * without.
 */
export function raiseHelperThreads(log: Log): void {
  try {
    for (const thread of helperThreads()) setPriority(thread, PRIORITY);
  } catch (error) {
    log.debug('the threads that collect garbage run at the usual priority', { err: error });
  }
}

/** The ids of those threads. */
export function helperThreads(): readonly number[] {
  return readdirSync(TASKS)
    .filter((thread) => readFileSync(`${TASKS}/${thread}/comm`, 'utf8').trim() === HELPER)
    .map(Number);
}
