import type { ServiceId } from '#proto/types/ids.ts';
import type { Change } from '../store/changes.ts';
import type { Draft } from '../store/view.ts';
import type { Controller, Situation } from './controller.ts';

/** What one look at the cluster came to. */
export interface Look {
  /** Everything planned, in order. */
  readonly changes: readonly Change[];
  /** When to look again, even if nothing happens. */
  readonly wakeAtMs: number;
  /** Nobody had anything more to say. */
  readonly settled: boolean;
}

export interface LookOpts {
  readonly controllers: readonly Controller[];
  /** Rounds through all controllers; plans that never come to rest are a mistake, and must not hold everything up. */
  readonly roundsMax: number;
}

/**
 * Asks every controller in turn, applying what it plans to the draft before the next one looks, until a whole round plans
 * nothing. A controller that throws is left out of that round, and `failed` is told; the others go on.
 */
export function lookAround(
  opts: LookOpts,
  draft: Draft,
  situation: Situation,
  failed: (controller: string, error: unknown) => void,
): Look {
  const changes: Change[] = [];
  let wakeAtMs = Number.POSITIVE_INFINITY;
  let services = situation.services;
  for (let round = 0; round < opts.roundsMax; round++) {
    const before = changes.length;
    const touched = new Set<ServiceId>();
    const { services: _, ...rest } = situation;
    const now: Situation = services === undefined ? rest : { ...rest, services };
    for (const controller of opts.controllers) {
      try {
        const plan = controller.plan(draft, now);
        wakeAtMs = Math.min(wakeAtMs, plan.wakeAtMs ?? wakeAtMs);
        for (const change of plan.changes) {
          maybeAdd(touched, serviceOf(draft, change));
          draft.apply(change);
          changes.push(change);
        }
      } catch (error) {
        failed(controller.name, error);
      }
    }
    if (changes.length === before) return { changes, wakeAtMs, settled: true };
    // What one round changed is all that the next one has to look at.
    services = touched;
  }
  return { changes, wakeAtMs, settled: false };
}

function maybeAdd<T>(set: Set<T>, value: T | undefined): void {
  if (value !== undefined) set.add(value);
}

/** The service that a change concerns. */
function serviceOf(draft: Draft, change: Change): ServiceId | undefined {
  if ('serviceId' in change) return change.serviceId;
  return 'taskId' in change ? draft.tasks.get(change.taskId)?.serviceId : undefined;
}
