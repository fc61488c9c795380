import Table from 'cli-table3';
import type { Measured, Outcome } from './runner.ts';
import { median, rangeOf } from './statistics.ts';
import type { Bench, Figure } from './subject.ts';

/** One figure as `--json` prints it: medians, and ours / theirs. */
export interface FigureLine {
  readonly bench: string;
  readonly figure: string;
  readonly value: number;
  readonly unit: Figure['unit'];
  readonly peer: string;
  readonly peerValue: number;
  readonly ratio: number;
  /** How many values each median is of (the fewer of both). */
  readonly runs: number;
}

/** The figures that were measured, in the order the bench names them. */
export function linesOf(name: string, bench: Bench, { figures }: Outcome): FigureLine[] {
  return bench.figures.flatMap((figure) => {
    const measured = figures.get(figure.name);
    return measured === undefined ? [] : [lineOf(name, bench, figure, measured)];
  });
}

function lineOf(name: string, bench: Bench, figure: Figure, { ours, theirs }: Measured): FigureLine {
  const [value, peerValue] = [median(ours), median(theirs)];
  return {
    bench: name,
    figure: figure.name,
    value: rounded(value),
    unit: figure.unit,
    peer: figure.peer ?? bench.peer.name,
    peerValue: rounded(peerValue),
    ratio: value === peerValue ? 1 : rounded(value / peerValue),
    runs: Math.min(ours.length, theirs.length),
  };
}

/** Three digits are more than a machine like this one repeats. */
function rounded(value: number): number {
  return Number(value.toPrecision(value >= 100 ? Math.ceil(Math.log10(value)) : 3));
}

/** The same for people: median and range of both sides, their ratio, and what was hoped for. */
export function tableOf(name: string, bench: Bench, outcome: Outcome): string {
  const table = new Table({
    head: ['figure', 'unit', 'Shoal', bench.peer.name, 'ratio', 'goal', 'what it is'],
    style: { head: [], border: [] },
    colAligns: ['left', 'left', 'right', 'right', 'right', 'right', 'left'],
  });
  for (const line of linesOf(name, bench, outcome)) {
    const figure = bench.figures.find((one) => one.name === line.figure) as Figure;
    const { ours, theirs } = outcome.figures.get(line.figure) as Measured;
    table.push([
      line.figure,
      line.unit,
      withRange(line.value, ours),
      withRange(line.peerValue, theirs),
      `${line.ratio.toFixed(2)}x`,
      figure.goal === undefined ? '' : `${figure.goal}x`,
      figure.meaning,
    ]);
  }
  return table.toString();
}

function withRange(value: number, values: readonly number[]): string {
  const [least, most] = rangeOf(values).map(rounded);
  return `${value} (${least} to ${most}, ${values.length})`;
}
