import { type FSWatcher, watch } from 'node:fs';
import type { Cgroup } from './cgroup.ts';

/**
 * Calls `onOom` when the kernel has killed a process of the group for want of memory: for each look that finds more kills
 * than the one before, and at once when there are more than `told`. Version 2 only: the kernel tells of changes of
 * `memory.events` itself. (conmon listens there too, but gives up at the first change that is no kill.)
 */
export function watchOomKills(group: Cgroup, told: number, onOom: () => void): Disposable {
  let known = told;
  const look = (): void => {
    const kills = group.oomKills();
    if (kills > known) onOom();
    known = Math.max(known, kills);
  };
  const watcher = watched(group.file('memory', 'memory.events'), look);
  look();
  return { [Symbol.dispose]: () => watcher?.close() };
}

/** Undefined when there is no such file (any more), or the machine has no watches left: the end of it still tells. */
function watched(file: string, onChange: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(file, { persistent: false }, onChange);
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}
