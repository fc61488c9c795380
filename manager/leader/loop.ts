import { backoffMs } from '#proto/base/backoff.ts';
import type { Clock } from '#proto/base/clock.ts';
import { codeOf } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';
import { ownTurn } from '#proto/base/own-turn.ts';
import type { Random } from '#proto/base/random.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { Store } from '../store/view.ts';
import { Agenda, type AgendaOpts } from './agenda.ts';
import { Alarms } from './alarms.ts';
import { commit } from './commit.ts';
import type { Situation } from './controller.ts';
import { CONTROLLERS } from './controllers.ts';
import { type LookOpts, lookAround } from './look.ts';
import { Standing } from './standing.ts';
import { type Wake, Wakes } from './wakes.ts';

/** How far each node's data plane is known to be; kept by whoever hears from the agents. */
export interface NetworkReadiness {
  versions(): ReadonlyMap<NodeId, number>;
  /** Calls back after a version grew; the returned function ends it. */
  subscribe(changed: () => void): () => void;
}

export interface LeaderLoopOpts extends LookOpts, AgendaOpts {
  /** Everything is looked at again after so long, whatever happened: nothing waits for an event for ever. */
  readonly lookEveryMs: number;
  readonly backoff: { readonly firstMs: number; readonly maxMs: number };
}

/** Where there is no end of parts, what waits for the last one has its turn after so many. */
const PARTS_WITH_MORE = 32;

export const LEADER_LOOP_OPTS: LeaderLoopOpts = {
  controllers: CONTROLLERS,
  roundsMax: 20,
  changesMax: 500,
  tasksMax: 1_000,
  nodesMax: 20,
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
  readonly #agenda: Agenda;
  readonly #alarms = new Alarms();
  readonly #standing: Standing;
  /** Times in a row that all there was to look at was looked at, and something went wrong. */
  #troubles = 0;
  /** Parts of the agenda in a row, with others behind them. */
  #parts = 0;
  /** Whether a controller was found at fault since. */
  #atFault = false;

  constructor(opts: LeaderLoopOpts, modules: LeaderLoopModules) {
    this.#opts = opts;
    this.#modules = { ...modules, log: modules.log.child('leader') };
    this.#wakes = new Wakes(new Set(opts.controllers.flatMap(({ wakesOn }) => wakesOn)));
    this.#agenda = new Agenda(opts);
    this.#standing = new Standing((id, version) => modules.store.view().revision(id, version));
  }

  /** Runs until the signal aborts, which is when the lead is lost; never fails. */
  async run(signal: AbortSignal): Promise<void> {
    const { store, network } = this.#modules;
    using stack = new DisposableStack();
    stack.defer(
      store.subscribe((batch) => {
        this.#standing.note(batch);
        this.#wakes.note(batch);
      }),
    );
    stack.defer(network.subscribe(() => this.#wakes.wake()));
    await this.#caughtUp(signal);
    while (!signal.aborted && this.#standing.count(store.view())) await ownTurn();
    while (!signal.aborted) {
      if (await this.#look(signal)) continue;
      await this.#rest(signal);
    }
  }

  /** Looks once and writes what came of it; true when there is reason to look again at once. */
  async #look(signal: AbortSignal): Promise<boolean> {
    const { store } = this.#modules;
    const isFirst = this.#agenda.isEmpty;
    if (isFirst) this.#atFault = false;
    const part = this.#nextPart();
    // Not the whole view: what all tasks were would have to be remembered until the last entry is written.
    const { services: before } = store.view();
    const look = lookAround(this.#opts, store.draft(), this.#situation(part), (name, err) =>
      this.#controllerFailed(name, err),
    );
    if (!look.settled) this.#controllerFailed('all', new Error('plans come to no rest'));
    if (look.cut) this.#agenda.add(part);
    this.#setAlarms(part, look.wakeAtMs);
    try {
      await commit(store, before, look.changes, signal);
    } catch (error) {
      return this.#commitFailed(error, signal);
    }
    if (!this.#agenda.isEmpty) {
      await ownTurn();
      return true;
    }
    this.#troubles = this.#atFault ? this.#troubles + 1 : 0;
    return look.changes.length > 0 && !this.#atFault;
  }

  /** What to look at now: of what has happened and what is due, as much as a look may take. */
  #nextPart(): Wake {
    const { store, clock } = this.#modules;
    const due = this.#alarms.take(clock.wallMs());
    if (due === undefined) this.#wakes.wakeForEverything();
    else this.#wakes.wakeForServices(due);
    const view = store.view();
    this.#agenda.add(this.#wakes.take(view));
    return this.#agenda.next(view, () => this.#alarms.setForEverything(Number.POSITIVE_INFINITY));
  }

  #situation(part: Wake): Situation {
    const { clock, network } = this.#modules;
    const nowMs = Math.floor(clock.wallMs());
    this.#parts = this.#agenda.isEmpty ? 0 : this.#parts + 1;
    const more = this.#parts % PARTS_WITH_MORE > 0;
    return { nowMs, networkReady: network.versions(), known: this.#standing, ...part, more };
  }

  #setAlarms({ services, nodes }: Wake, atMs: number): void {
    if (services === undefined) return this.#alarms.setForEverything(atMs);
    this.#alarms.setForServices(services, atMs);
    // Of a node it is not known what waits there.
    if (nodes !== undefined) this.#alarms.addForEverything(atMs);
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
    const { lookEveryMs } = this.#opts;
    const dueMs = Math.max(0, this.#alarms.nextAtMs - clock.wallMs());
    using stack = new DisposableStack();
    let isDue = false;
    const due = (): void => {
      isDue = true;
      if (dueMs < lookEveryMs) this.#wakes.wake();
      else this.#wakes.wakeForEverything();
    };
    stack.defer(clock.timer(Math.min(dueMs, lookEveryMs), due));
    const wake = (): void => this.#wakes.wake();
    signal.addEventListener('abort', wake, { once: true });
    stack.defer(() => signal.removeEventListener('abort', wake));
    if (!signal.aborted) await this.#wakes.woken;
    // A look takes its time: who waits for what has just changed is answered first.
    if (!isDue) await ownTurn();
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    await this.#modules.clock.sleep(ms, signal).catch(() => undefined);
  }
}
