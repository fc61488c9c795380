import type { Plan } from '../leader/controller.ts';

export const NOTHING: Plan = { changes: [] };

/** Several plans as one: all changes in order, and the earliest time to look again. */
export function joinPlans(plans: readonly Plan[]): Plan {
  const changes = plans.flatMap((plan) => plan.changes);
  const wakeAtMs = plans.reduce(
    (earliest, plan) => Math.min(earliest, plan.wakeAtMs ?? earliest),
    Number.POSITIVE_INFINITY,
  );
  return { changes, ...(Number.isFinite(wakeAtMs) ? { wakeAtMs } : {}) };
}

/** Nothing to do before a time; never, when that is Infinity. */
export function waitUntil(wakeAtMs: number): Plan {
  return Number.isFinite(wakeAtMs) ? { changes: [], wakeAtMs } : NOTHING;
}
