import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#proto/base/clock.ts';
import type { Metrics } from '#proto/base/metrics.ts';
import { type Latency, LatencyWindow } from './latency-window.ts';
import { logDirectory, snapshotDirectory } from './state.ts';

/** What is overheard of what the Raft loop measures (core-metrics.ts). */
const FSYNC = 'shoal_raft_fsync_seconds';
const TICK_LATE = 'shoal_raft_tick_late_seconds';
const DISK_FULL = 'shoal_raft_disk_full';

export interface RaftHealthModules {
  readonly metrics: Metrics;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

/** How well this manager's Raft loop and its disk have done lately. */
export class RaftHealth {
  readonly #stateDir: string;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #fsync = new LatencyWindow();
  readonly #tickLate = new LatencyWindow();
  #diskFull = false;
  /** For consensus: everything goes on to where it went, some of it is noted on the way. */
  readonly metrics: Metrics;

  constructor(stateDir: string, { metrics, clock }: RaftHealthModules) {
    this.#stateDir = stateDir;
    this.#clock = clock;
    const windows = new Map([
      [FSYNC, this.#fsync],
      [TICK_LATE, this.#tickLate],
    ]);
    this.metrics = overheard(metrics, (name, value) => {
      windows.get(name)?.observe(value, clock.monotonicMs());
      if (name === DISK_FULL) this.#diskFull = value === 1;
    });
  }

  /** Writes of the log with their sync, of the last minute or less. */
  fsync(withinMs?: number): Latency | undefined {
    return this.#fsync.summary(this.#clock.monotonicMs(), withinMs);
  }

  /** How late the ticks of the Raft loop came, likewise. */
  tickLate(withinMs?: number): Latency | undefined {
    return this.#tickLate.summary(this.#clock.monotonicMs(), withinMs);
  }

  /** The log has no room: this manager takes no writes, and sees none of the others'. */
  get diskFull(): boolean {
    return this.#diskFull;
  }

  /** Bytes that log and snapshots take. */
  async diskBytes(): Promise<number> {
    const folders = [logDirectory(this.#stateDir), snapshotDirectory(this.#stateDir)];
    const sizes = await Promise.all(folders.map(bytesIn));
    return sizes.reduce((sum, bytes) => sum + bytes, 0);
  }
}

/** The same metrics, with an ear at their histograms and gauges. */
function overheard(metrics: Metrics, heard: (name: string, value: number) => void): Metrics {
  return {
    counter: (...args) => metrics.counter(...args),
    gauge: (name, ...rest) => {
      const gauge = metrics.gauge(name, ...rest);
      return {
        set: (value, labels) => {
          heard(name, value);
          gauge.set(value, labels);
        },
      };
    },
    onScrape: (refresh) => metrics.onScrape(refresh),
    histogram: (name, ...rest) => {
      const histogram = metrics.histogram(name, ...rest);
      return {
        observe: (value, labels) => {
          heard(name, value);
          histogram.observe(value, labels);
        },
      };
    },
  };
}

/** Files come and go while they are counted. */
async function bytesIn(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => []);
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(folder, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}
