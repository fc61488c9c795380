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
  /** Nobody had anything more to say, or there was more to say than a look has room for. */
  readonly settled: boolean;
  /** There was more to say: what was asked to be looked at is to be looked at again. */
  readonly cut: boolean;
}

export interface LookOpts {
  readonly controllers: readonly Controller[];
  /** Rounds through all controllers; plans that never come to rest are a mistake, and must not hold everything up. */
  readonly roundsMax: number;
  /** Changes beyond this are planned again by the next look: a plan must not hold up the loop. */
  readonly changesMax: number;
  /** Tasks that another round may have to judge; more are left to the next look. */
  readonly tasksMax: number;
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
  const looking = new Looking(opts, draft, failed);
  let now = situation;
  for (let round = 0; round < opts.roundsMax; round++) {
    const before = looking.changes.length;
    const touched = looking.round(now);
    if (looking.isCut) return looking.end(true);
    if (looking.changes.length === before) return looking.end(true);
    // What was touched is looked at again when it is written.
    if (sizeOf(draft, touched) > opts.tasksMax) return looking.end(true);
    // What one round changed is all that the next one has to look at.
    const { nodes: _, ...rest } = situation;
    now = { ...rest, services: touched };
  }
  return looking.end(false);
}

class Looking {
  readonly changes: Change[] = [];
  isCut = false;
  readonly #opts: LookOpts;
  readonly #draft: Draft;
  readonly #failed: (controller: string, error: unknown) => void;
  #wakeAtMs = Number.POSITIVE_INFINITY;

  constructor(opts: LookOpts, draft: Draft, failed: (controller: string, error: unknown) => void) {
    this.#opts = opts;
    this.#draft = draft;
    this.#failed = failed;
  }

  /** Asks every controller once; gives the services that this changed something of. */
  round(situation: Situation): Set<ServiceId> {
    const touched = new Set<ServiceId>();
    for (const controller of this.#opts.controllers) {
      try {
        this.#ask(controller, situation, touched);
      } catch (error) {
        this.#failed(controller.name, error);
      }
    }
    return touched;
  }

  end(settled: boolean): Look {
    return { changes: this.changes, wakeAtMs: this.#wakeAtMs, settled, cut: this.isCut };
  }

  #ask(controller: Controller, situation: Situation, touched: Set<ServiceId>): void {
    if (this.isCut) return;
    const plan = controller.plan(this.#draft, situation);
    this.#wakeAtMs = Math.min(this.#wakeAtMs, plan.wakeAtMs ?? this.#wakeAtMs);
    for (const change of plan.changes) {
      this.isCut = this.changes.length >= this.#opts.changesMax;
      if (this.isCut) return;
      maybeAdd(touched, serviceOf(this.#draft, change));
      this.#draft.apply(change);
      this.changes.push(change);
    }
  }
}

function sizeOf({ tasks }: Draft, services: ReadonlySet<ServiceId>): number {
  let size = 0;
  for (const id of services) size += tasks.sizeOf(id);
  return size;
}

function maybeAdd<T>(set: Set<T>, value: T | undefined): void {
  if (value !== undefined) set.add(value);
}

/** The service that a change concerns. */
function serviceOf(draft: Draft, change: Change): ServiceId | undefined {
  if ('serviceId' in change) return change.serviceId;
  return 'taskId' in change ? draft.tasks.get(change.taskId)?.serviceId : undefined;
}
