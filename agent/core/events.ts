import type { Clock } from '#proto/base/clock.ts';
import { LIMITS } from '#proto/base/limits.ts';

export type EventType =
  | 'container'
  | 'image'
  | 'network'
  | 'volume'
  | 'daemon'
  | 'builder'
  /** Of the cluster, as long as this node manages it. */
  | 'service'
  | 'node';

/** Something that happened on this machine (`local`) or to its cluster (`swarm`), as GET /events tells it. */
export interface EngineEvent {
  readonly type: EventType;
  readonly action: string;
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly scope: 'local' | 'swarm';
  readonly timeNs: bigint;
}

/** Listeners that do not keep up are cut off rather than kept in memory without end. */
const WAITING_MAX = 4096;

/** Tells what happens on this machine to whoever listens, and keeps the last of it. */
export class EventBus {
  readonly #clock: Pick<Clock, 'wallMs'>;
  readonly #kept: EngineEvent[] = [];
  readonly #listeners = new Set<(event: EngineEvent) => void>();
  #lastNs = 0n;

  constructor(modules: { clock: Pick<Clock, 'wallMs'> }) {
    this.#clock = modules.clock;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  emit(
    type: EventType,
    action: string,
    id: string,
    attributes: Readonly<Record<string, string>>,
    scope: EngineEvent['scope'] = 'local',
  ): void {
    const event = { type, action, id, attributes, scope, timeNs: this.#nextNs() };
    this.#kept.push(event);
    if (this.#kept.length > LIMITS.eventsKept) this.#kept.shift();
    for (const listener of this.#listeners) listener(event);
  }

  /** Every event has a time of its own, so that "since" never tells one twice. */
  #nextNs(): bigint {
    const now = BigInt(Math.floor(this.#clock.wallMs() * 1000)) * 1000n;
    this.#lastNs = now > this.#lastNs ? now : this.#lastNs + 1n;
    return this.#lastNs;
  }

  /** Calls back for every event from now on; the returned function ends it. */
  on(listener: (event: EngineEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The events that are still known and not older than this. */
  since(fromNs: bigint): EngineEvent[] {
    return this.#kept.filter(({ timeNs }) => timeNs >= fromNs);
  }

  /** Known events from `fromNs` on when given, then new ones until the signal aborts. */
  async *stream(fromNs: bigint | undefined, signal: AbortSignal): AsyncGenerator<EngineEvent> {
    const waiting = fromNs === undefined ? [] : this.since(fromNs);
    let wake: () => void = () => undefined;
    const stop = this.on((event) => {
      waiting.push(event);
      wake();
    });
    const onAbort = (): void => wake();
    signal.addEventListener('abort', onAbort);
    try {
      while (!signal.aborted && waiting.length <= WAITING_MAX) {
        const next = waiting.shift();
        if (next) yield next;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    } finally {
      stop();
      signal.removeEventListener('abort', onAbort);
    }
  }
}
