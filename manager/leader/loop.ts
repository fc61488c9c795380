import { setImmediate as breathe } from 'node:timers/promises';
import { backoffMs } from '#proto/base/backoff.ts';
import type { Clock } from '#proto/base/clock.ts';
import { codeOf } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { Store } from '../store/view.ts';
import { commit } from './commit.ts';
import type { Controller } from './controller.ts';
import { CONTROLLERS } from './controllers.ts';
import { lookAround } from './look.ts';
import { Wakes } from './wakes.ts';

/** How far each node's data plane is known to be; kept by whoever hears from the agents. */
export interface NetworkReadiness {
  versions(): ReadonlyMap<NodeId, number>;
  /** Calls back after a version grew; the returned function ends it. */
  subscribe(changed: () => void): () => void;
}

export interface LeaderLoopOpts {
  readonly controllers: readonly Controller[];
  readonly roundsMax: number;
  /** Everything is looked at again after so long, whatever happened: nothing waits for an event for ever. */
  readonly lookEveryMs: number;
  readonly backoff: { readonly firstMs: number; readonly maxMs: number };
}

export const LEADER_LOOP_OPTS: LeaderLoopOpts = {
  controllers: CONTROLLERS,
  roundsMax: 20,
  lookEveryMs: 60_000,
  backoff: { firstMs: 50, maxMs: 5_000 },
};

export interface LeaderLoopModules {
  readonly store: Pick<Store, 'view' | 'draft' | 'update' | 'subscribe' | 'readBarrier'>;
  readonly network: NetworkReadiness;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/**
 * What a manager does while it leads: whenever something changed, or a time has come, it looks around, writes what its
 * controllers plan as one entry, waits for it, and looks again. Keeps nothing that the next leader would miss.
 */
export class LeaderLoop {
  readonly #opts: LeaderLoopOpts;
  readonly #modules: LeaderLoopModules;
  readonly #wakes: Wakes;
  /** The earliest time at which somebody wants to look again. */
  #wakeAtMs = Number.POSITIVE_INFINITY;
  /** Looks in a row that went wrong. */
  #troubles = 0;
  /** Whether the last look found a controller at fault. */
  #atFault = false;

  constructor(opts: LeaderLoopOpts, modules: LeaderLoopModules) {
    this.#opts = opts;
    this.#modules = { ...modules, log: modules.log.child('leader') };
    this.#wakes = new Wakes(new Set(opts.controllers.flatMap(({ wakesOn }) => wakesOn)));
  }

  /** Runs until the signal aborts, which is when the lead is lost; never fails. */
  async run(signal: AbortSignal): Promise<void> {
    const { store, network } = this.#modules;
    using stack = new DisposableStack();
    stack.defer(store.subscribe((batch) => this.#wakes.note(batch)));
    stack.defer(network.subscribe(() => this.#wakes.wake()));
    await this.#caughtUp(signal);
    while (!signal.aborted) {
      if (await this.#look(signal)) continue;
      await this.#rest(signal);
    }
  }

  /** Looks once and writes what came of it; true when there is reason to look again at once. */
  async #look(signal: AbortSignal): Promise<boolean> {
    const { store, clock, network } = this.#modules;
    const services = this.#wakes.take();
    // Not the whole view: what all tasks were would have to be remembered until the last entry is written.
    const { services: before } = store.view();
    const nowMs = Math.floor(clock.wallMs());
    const situation = { nowMs, networkReady: network.versions(), ...(services ? { services } : {}) };
    this.#atFault = false;
    const look = lookAround(this.#opts, store.draft(), situation, (name, err) =>
      this.#controllerFailed(name, err),
    );
    if (!look.settled) this.#controllerFailed('all', new Error('plans come to no rest'));
    // Only a look at everything knows all that is waited for.
    this.#wakeAtMs = services === undefined ? look.wakeAtMs : Math.min(this.#wakeAtMs, look.wakeAtMs);
    try {
      await commit(store, before, look.changes, signal);
    } catch (error) {
      return this.#commitFailed(error, signal);
    }
    this.#troubles = this.#atFault ? this.#troubles + 1 : 0;
    return look.changes.length > 0 && !this.#atFault;
  }

  #controllerFailed(controller: string, err: unknown): void {
    this.#atFault = true;
    this.#modules.log.error('a controller failed', { controller, err });
  }

  /** A plan that was overtaken is made again at once; of anything else nobody knows yet what came of it. */
  async #commitFailed(err: unknown, signal: AbortSignal): Promise<boolean> {
    this.#wakes.wakeForEverything();
    if (signal.aborted) return false;
    this.#troubles++;
    if (codeOf(err) === 'OUT_OF_SEQUENCE') return this.#troubles === 1;
    this.#modules.log.warn('a plan was not written, planning anew', { err });
    await this.#caughtUp(signal);
    return false;
  }

  /** Waits until the view shows everything acknowledged so far: what an earlier leader wrote, or we without knowing. */
  async #caughtUp(signal: AbortSignal): Promise<void> {
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        return await this.#modules.store.readBarrier(signal);
      } catch (err) {
        if (signal.aborted) return;
        this.#modules.log.debug('not caught up yet', { err });
        await this.#sleep(backoffMs(this.#opts.backoff, attempt, this.#modules.random), signal);
      }
    }
  }

  /** Rests until there is something to look at; after trouble, at least for a while, and then everything counts. */
  async #rest(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#modules;
    if (this.#troubles > 0) {
      await this.#sleep(backoffMs(this.#opts.backoff, this.#troubles - 1, random), signal);
      this.#wakes.wakeForEverything();
      return;
    }
    const dueMs = Math.max(0, Math.min(this.#wakeAtMs - clock.wallMs(), this.#opts.lookEveryMs));
    using stack = new DisposableStack();
    let isDue = false;
    const due = (): void => {
      isDue = true;
      this.#wakes.wakeForEverything();
    };
    stack.defer(clock.timer(dueMs, due));
    const wake = (): void => this.#wakes.wake();
    signal.addEventListener('abort', wake, { once: true });
    stack.defer(() => signal.removeEventListener('abort', wake));
    if (!signal.aborted) await this.#wakes.woken;
    // A look takes its time: who waits for what has just changed is answered first.
    if (!isDue) await breathe();
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    await this.#modules.clock.sleep(ms, signal).catch(() => undefined);
  }
}
