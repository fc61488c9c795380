import { type FailureCode, ShoalError } from '#proto/base/errors.ts';
import type { ProgressSink } from '../image/progress.ts';

/** Where a build says what it does. */
export interface BuildOutput {
  /** Resolves when it has been taken: a build does not run ahead of who watches it. */
  text(text: string): Promise<void>;
  /** The same, of what commands print as errors. */
  errorText(text: string): Promise<void>;
  /** Pulls on the way. */
  readonly progress: ProgressSink;
  /** The id of an image that a stage has led to. */
  built(imageId: string): Promise<void>;
}

/** A command of the build that failed by itself. */
export class StepFailed extends ShoalError {
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super('INTERNAL' satisfies FailureCode, message);
    this.name = 'StepFailed';
    this.exitCode = exitCode;
  }
}
