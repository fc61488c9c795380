import type { Bench, Subject } from './subject.ts';

/** What was measured of one figure, in the order it was measured. */
export interface Measured {
  readonly ours: number[];
  readonly theirs: number[];
}

export interface RunOpts {
  readonly runs: number;
  /** Which of the bench's slices; all of them when empty. */
  readonly slices: readonly string[];
}

export interface RunModules {
  readonly ours: Subject;
  readonly theirs: Subject;
  /** Told as each step is done. */
  readonly say: (step: string) => void;
  /** Told what came of it, before anything is stopped: that can fail as well. */
  readonly report: (outcome: Outcome) => void;
  /** Waits until the machine has little else to do; false when it still had after a while. */
  readonly untilQuiet: (signal: AbortSignal) => Promise<boolean>;
  readonly signal: AbortSignal;
}

/** What came of a whole bench. */
export interface Outcome {
  readonly figures: ReadonlyMap<string, Measured>;
  /** Slices that began although the machine was busy with something else. */
  readonly noisy: number;
  readonly slices: number;
}

const START_MS_MAX = 90_000;

/**
 * Measures both subjects slice by slice, so that whatever else the machine does hits both alike; who goes first
 * alternates. Both are stopped at the end, also on failure and when the signal aborts.
 */
export async function runBench(bench: Bench, opts: RunOpts, modules: RunModules): Promise<void> {
  const { ours, theirs, say, signal } = modules;
  await using stack = new AsyncDisposableStack();
  for (const subject of [theirs, ours]) {
    say(`starting ${subject.name}`);
    stack.defer(() => subject.stop());
    await subject.start(AbortSignal.any([signal, AbortSignal.timeout(START_MS_MAX)]));
  }
  for (const subject of [ours, theirs]) await subject.measure(bench.warmUp, boundOf(bench, signal));
  modules.report(await takeTurns(bench, opts, modules));
}

async function takeTurns(bench: Bench, opts: RunOpts, modules: RunModules): Promise<Outcome> {
  const { ours, theirs, say, untilQuiet, signal } = modules;
  const figures = new Map<string, Measured>();
  const slices = bench.slices.filter((slice) => opts.slices.length === 0 || opts.slices.includes(slice));
  let noisy = 0;
  for (let run = 0; run < opts.runs; run++) {
    for (const [at, slice] of slices.entries()) {
      for (const subject of (run + at) % 2 === 0 ? [ours, theirs] : [theirs, ours]) {
        if (!(await untilQuiet(signal))) noisy++;
        const samples = await subject.measure(slice, boundOf(bench, signal));
        const said = samples.map(({ figure, value }) => `${figure} ${Math.round(value)}`);
        say(`run ${run + 1} of ${opts.runs}, ${subject.name}: ${said.join(', ')}`);
        for (const { figure, value } of samples) {
          measuredOf(figures, figure)[subject === ours ? 'ours' : 'theirs'].push(value);
        }
      }
    }
  }
  return { figures, noisy, slices: opts.runs * slices.length * 2 };
}

function boundOf({ sliceMsMax }: Bench, signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(sliceMsMax)]);
}

function measuredOf(figures: Map<string, Measured>, name: string): Measured {
  const measured = figures.get(name) ?? { ours: [], theirs: [] };
  figures.set(name, measured);
  return measured;
}
