/** One line of how a transfer goes, as Docker's clients show it. */
export interface Progress {
  /** What the line is about: a layer, a tag. Lines without are said once. */
  readonly id?: string;
  readonly status: string;
  /** Bytes, where the line has a bar. */
  readonly current?: number;
  readonly total?: number;
  /** For programs rather than people. */
  readonly aux?: unknown;
}

export type ProgressSink = (progress: Progress) => void;

/** Tells nobody. */
export const noProgress: ProgressSink = () => undefined;
