import type { Counter, Gauge, Histogram, Metrics } from '#proto/base/metrics.ts';

const SYNC_BUCKETS = [
  0.0001, 0.00015, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1,
];
const LATE_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1];

/** What the Raft loop measures. */
export class CoreMetrics {
  readonly #sync: Histogram;
  readonly #late: Histogram;
  readonly #ticksMissed: Counter;
  readonly #term: Gauge;
  readonly #leading: Gauge;
  readonly #committed: Gauge;
  readonly #waiting: Gauge;
  readonly #diskFull: Gauge;

  constructor(metrics: Metrics) {
    this.#sync = metrics.histogram(
      'shoal_raft_fsync_seconds',
      'Time to write a batch to the Raft log and sync it',
      SYNC_BUCKETS,
    );
    this.#late = metrics.histogram(
      'shoal_raft_tick_late_seconds',
      'How late a Raft tick came: the loop was held up',
      LATE_BUCKETS,
    );
    this.#ticksMissed = metrics.counter(
      'shoal_raft_ticks_missed_total',
      'Raft ticks that passed while the loop was held up',
    );
    this.#term = metrics.gauge('shoal_raft_term', 'The Raft term');
    this.#leading = metrics.gauge('shoal_raft_leading', '1 while this manager leads');
    this.#committed = metrics.gauge('shoal_raft_commit_index', 'The last entry that is committed');
    this.#waiting = metrics.gauge(
      'shoal_raft_proposals_waiting',
      'Proposals in the log whose outcome is open',
    );
    this.#diskFull = metrics.gauge('shoal_raft_disk_full', '1 while the Raft log has no room on disk');
    this.#diskFull.set(0);
  }

  synced(seconds: number): void {
    this.#sync.observe(seconds);
  }

  ticked(lateMs: number, tickMs: number): void {
    this.#late.observe(Math.max(0, lateMs) / 1000);
    if (lateMs >= tickMs) this.#ticksMissed.inc(Math.floor(lateMs / tickMs));
  }

  leads(term: number, leading: boolean): void {
    this.#term.set(term);
    this.#leading.set(leading ? 1 : 0);
  }

  diskFull(full: boolean): void {
    this.#diskFull.set(full ? 1 : 0);
  }

  committed(index: number, waiting: number): void {
    this.#committed.set(index);
    this.#waiting.set(waiting);
  }
}
