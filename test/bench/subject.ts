import type { Peer, Programs } from './peers/peer.ts';

/** What is compared: one line of a bench's table. */
export interface Figure {
  readonly name: string;
  /** What is timed or counted, for the reader of the table. */
  readonly meaning: string;
  readonly unit: 'ms' | 'us' | 'MiB' | 'per s' | 'count';
  /** The ratio ours / theirs that Shoal means to stay below (or above, where more is better). */
  readonly goal?: number;
  /** Whom it is compared with where that is not the bench's peer. */
  readonly peer?: string;
}

/** One measured value of a figure. */
export interface Sample {
  readonly figure: string;
  readonly value: number;
}

/** One side of a comparison, Shoal or a peer: both answer the same slices. */
export interface Subject {
  readonly name: string;
  /** Comes up, ready to be measured. What an earlier run that was cut off left behind goes first. */
  start(signal: AbortSignal): Promise<void>;
  /** Ends everything start() made, also when start() failed half-way; harmless when not started. */
  stop(): Promise<void>;
  /** Does what the slice says, once, and gives what it took. Leaves the subject as it was found. */
  measure(slice: string, signal: AbortSignal): Promise<readonly Sample[]>;
}

/** A file of test/bench/benches: `export const bench: Bench`. */
export interface Bench {
  readonly about: string;
  readonly peer: Peer;
  readonly figures: readonly Figure[];
  /** Pieces of a run: ours and theirs take turns at each. */
  readonly slices: readonly string[];
  /** Done once by both before anything counts. */
  readonly warmUp: string;
  /** A slice that takes longer is a failure. */
  readonly sliceMsMax: number;
  readonly runs: number;
  subjects(programs: Programs): Promise<{ readonly ours: Subject; readonly theirs: Subject }>;
}
