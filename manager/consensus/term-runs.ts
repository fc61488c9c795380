import type { TermRun } from './protocol.ts';

/** The terms of entries one behind the other: mostly one for all of them, and little then crosses between threads. */
export function runsOf(terms: readonly number[]): TermRun[] {
  const runs: { term: number; count: number }[] = [];
  for (const term of terms) {
    const last = runs.at(-1);
    if (last?.term === term) last.count += 1;
    else runs.push({ term, count: 1 });
  }
  return runs;
}

/** The term of each entry again. */
export function termsOf(runs: readonly TermRun[]): number[] {
  return runs.flatMap(({ term, count }) => Array<number>(count).fill(term));
}
