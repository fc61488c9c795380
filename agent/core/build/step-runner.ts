import type { HostConfig } from '../container-types.ts';

/** A command of a RUN instruction, and where it runs. */
export interface Step {
  /** 64 hex digits, as the build shows it: the container's id. */
  readonly id: string;
  /** Folders of layers, top first; at least one. */
  readonly lowers: readonly string[];
  /** An empty folder for what the command changes, on the same file system as `work`, another one. */
  readonly upper: string;
  readonly work: string;
  readonly args: readonly string[];
  /** `NAME=value`. */
  readonly env: readonly string[];
  /** Absolute; it is made when it is not there. */
  readonly workdir: string;
  /** `user[:group]`, names or numbers; empty is root. */
  readonly user: string;
  /** `default`, `host`, `none`, or another as `docker run --network` takes it. */
  readonly network: string;
  /** Limits and the like that the build was asked to set. */
  readonly host: Partial<HostConfig>;
  /** Told what the command prints, in order; the next piece waits for the last to be taken. */
  readonly output: (stream: 'stdout' | 'stderr', data: Buffer) => Promise<void>;
  /** Aborts when the build is no longer wanted: the command is killed, and `run` rejects with the reason. */
  readonly signal: AbortSignal;
}

export interface StepResult {
  readonly exitCode: number;
}

/**
 * Runs the commands of a build: the container engine, as the builder sees it. When `run` returns or throws, no process of
 * the command is left, nothing is mounted, and `upper` holds what it changed, nobody writes to it, and nothing else is in
 * it: folders and files to mount on (/dev, /proc, /etc/hosts, …) belong into a lower folder of the runner's own.
 */
export interface StepRunner {
  /** Throws a ShoalError with Docker's words when the command can't be started at all. */
  run(step: Step): Promise<StepResult>;
}
