import { giveBackMemory } from '#agent/core/linux/memory.ts';
import { trimAllocatorAside } from '#agent/core/linux/sys.ts';
import { systemClock } from '#proto/base/clock.ts';
import type { Log } from '#proto/base/log.ts';
import { collectGarbage, cpuMsOfProcess, giveBackWhenResting } from './resting.ts';

/** Keeps the memory of this process small, as every daemon does, until disposed. */
export function keepMemorySmall(log: Log): Disposable {
  return giveBackWhenResting({
    clock: systemClock,
    cpuMs: cpuMsOfProcess,
    giveBack: () => giveBack(log),
    trim: trimAllocatorAside,
  });
}

function giveBack(log: Log): void {
  try {
    collectGarbage();
    giveBackMemory();
  } catch (error) {
    log.warn('memory could not be given back', { err: error });
  }
}
