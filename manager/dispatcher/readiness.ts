/** Messages that are told apart while they wait for their acknowledgement; older ones then wait as one. */
const WAITING_MAX = 64;

interface Waiting {
  /** Of the message: acknowledging this version, or a later one, acknowledges it. */
  version: number;
  /** The version of the oldest change in it. */
  readonly since: number;
}

/** What one node's data plane is known to be ready for: what it was sent, less what it has not acknowledged. */
export class Readiness {
  readonly #waiting: Waiting[] = [];
  #acknowledged = 0;

  /** A message of this version is on its way, whose oldest change is of version `since`. */
  sent(version: number, since: number): void {
    if (version <= this.#acknowledged) return;
    const last = this.#waiting.at(-1);
    if (last !== undefined && this.#waiting.length >= WAITING_MAX) last.version = version;
    else this.#waiting.push({ version, since });
  }

  acknowledged(version: number): void {
    this.#acknowledged = Math.max(this.#acknowledged, version);
    while ((this.#waiting[0]?.version ?? Number.POSITIVE_INFINITY) <= version) this.#waiting.shift();
  }

  /** The version it is ready for; undefined: nothing is open, it is ready for all there is. */
  behind(unsaidSince: number | undefined): number | undefined {
    const since = this.#waiting[0]?.since ?? unsaidSince;
    return since === undefined ? undefined : since - 1;
  }
}
