import type { ServiceId } from '#proto/types/ids.ts';

/** When to look at what again, even if nothing happens. */
export class Alarms {
  readonly #services = new Map<ServiceId, number>();
  #everythingAtMs = Number.POSITIVE_INFINITY;

  /** The earliest time that is waited for; Infinity when there is none. */
  get nextAtMs(): number {
    let next = this.#everythingAtMs;
    for (const atMs of this.#services.values()) next = Math.min(next, atMs);
    return next;
  }

  /** Everything was looked at, and nothing that was waited for before counts any more. */
  setForEverything(atMs: number): void {
    this.#services.clear();
    this.#everythingAtMs = atMs;
  }

  /** Everything is looked at again at this time at the latest. */
  addForEverything(atMs: number): void {
    this.#everythingAtMs = Math.min(this.#everythingAtMs, atMs);
  }

  /** These services were looked at, and one of them waits for that time; Infinity: none does. */
  setForServices(services: Iterable<ServiceId>, atMs: number): void {
    for (const id of services) {
      if (Number.isFinite(atMs)) this.#services.set(id, atMs);
      else this.#services.delete(id);
    }
  }

  /** What is due; undefined: everything. It is not waited for from then on. */
  take(nowMs: number): ReadonlySet<ServiceId> | undefined {
    if (this.#everythingAtMs <= nowMs) {
      this.setForEverything(Number.POSITIVE_INFINITY);
      return undefined;
    }
    const due = new Set<ServiceId>();
    for (const [id, atMs] of this.#services) if (atMs <= nowMs) due.add(id);
    for (const id of due) this.#services.delete(id);
    return due;
  }
}
