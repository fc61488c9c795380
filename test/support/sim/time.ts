import { type Clock, sleepOn } from '#proto/base/clock.ts';
import type { Random } from '#proto/base/random.ts';
import { settle } from '../virtual-clock.ts';

/** Whom events belong to: while it is held they wait; once it is gone they never happen. */
export interface Owner {
  heldUntilMs: number;
  gone: boolean;
}

interface Event {
  atMs: number;
  readonly serial: number;
  readonly fire: () => void;
  readonly owner: Owner | undefined;
  cancelled: boolean;
}

/** What waits for a turn of the event loop itself, as a large state being written down does, gets one after so many events. */
const TURN_EVERY = 8;

/** A process that hung finds timers, messages and requests together, and takes them in any order. */
const AFTER_HOLD_MS = 1;

/** The time of a simulation: events in order, one after the other, and everything that follows from one before the next. */
export class SimTime {
  readonly #queue = new EventQueue();
  readonly #random: Random;
  #nowMs = 0;
  #serial = 0;
  #happened = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Happens after `ms`; the returned function cancels it. */
  after(ms: number, fire: () => void, owner?: Owner): () => void {
    this.#serial += 1;
    const atMs = this.#nowMs + Math.max(0, ms);
    const event: Event = { atMs, serial: this.#serial, fire, owner, cancelled: false };
    this.#queue.add(event);
    return () => {
      event.cancelled = true;
    };
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(ms, resolve));
  }

  /** Lets time go by, until then or until `done`, which is asked after each event. */
  async run(untilMs: number, done: () => boolean = () => false): Promise<void> {
    await settle();
    while (!done()) {
      const event = this.#queue.takeBefore(untilMs);
      if (event === undefined) {
        this.#nowMs = untilMs;
        return;
      }
      await this.#happen(event);
    }
  }

  async #happen(event: Event): Promise<void> {
    if (event.cancelled || event.owner?.gone) return;
    this.#nowMs = event.atMs;
    const heldUntilMs = event.owner?.heldUntilMs ?? 0;
    if (heldUntilMs > this.#nowMs) {
      event.atMs = heldUntilMs + this.#random.next() * AFTER_HOLD_MS;
      this.#queue.add(event);
      return;
    }
    event.fire();
    this.#happened += 1;
    await (this.#happened % TURN_EVERY === 0 ? settle() : promisesSettle());
  }
}

/** Ticks come once no promise is left to be followed; a turn of the event loop, which costs more, is not waited for. */
function promisesSettle(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

/** A heap: the earliest first, and of one moment the one that was added first. */
class EventQueue {
  readonly #heap: Event[] = [];

  add(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent] as Event)) break;
      heap[at] = heap[parent] as Event;
      at = parent;
    }
    heap[at] = event;
  }

  takeBefore(untilMs: number): Event | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.atMs > untilMs) return undefined;
    const last = this.#heap.pop() as Event;
    if (last !== first) this.#sink(last);
    return first;
  }

  #sink(event: Event): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child += 1;
      if (!isBefore(heap[child] as Event, event)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = event;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.serial < b.serial);
}

const STARTED_AT_MS = 1_700_000_000_000;

/** The clock of one machine: it may go slower or faster than the others', and its time of day may be wrong. */
export class SkewedClock implements Clock {
  readonly #rate: number;
  readonly #time: SimTime;
  readonly #owner: Owner;
  /** Of the time of day. */
  offsetMs = 0;

  /** `rate`: how much of its time goes by while one millisecond does. */
  constructor(rate: number, time: SimTime, owner: Owner) {
    this.#rate = rate;
    this.#time = time;
    this.#owner = owner;
  }

  monotonicMs(): number {
    return this.#time.nowMs * this.#rate;
  }

  wallMs(): number {
    return STARTED_AT_MS + this.offsetMs + this.monotonicMs();
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal);
  }

  timer(ms: number, fire: () => void): () => void {
    return this.#time.after(ms / this.#rate, fire, this.#owner);
  }
}
