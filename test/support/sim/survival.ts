import { dumpState } from '#manager/consensus/dump.ts';
import type { SimDisk } from '../../unit/manager/consensus/support/sim-disk.ts';

/** What a manager's disk holds, read from the items of its log one by one: what it goes on with when it goes on alone. */
export interface Survival {
  readonly term: number;
  /** It knows that everything up to here is committed. */
  readonly commit: number;
  readonly lastIndex: number;
  /** Behind its last snapshot; data is empty where the state machine gets none. */
  readonly entries: ReadonlyMap<number, { readonly term: number; readonly data: Uint8Array }>;
}

const NO_BYTES = new Uint8Array();

/** Undefined where nothing is that a manager could start with. */
export function readSurvival(disk: SimDisk, stateDir: string): Survival | undefined {
  let [term, commit] = [0, 0];
  let base = { index: 0, term: 0 };
  let isSomebody = false;
  const entries = new Map<number, { term: number; data: Uint8Array }>();
  for (const line of linesOf(disk, stateDir)) {
    if (line.kind === 'snapshot' && line.index > base.index) base = line;
    if (line.kind === 'identity') isSomebody = true;
    if (line.kind === 'restart') entries.clear();
    if (line.kind === 'hard-state') ({ term, commit } = line);
    if (line.kind !== 'entry' && line.kind !== 'conf-change') continue;
    forgetFrom(entries, line.index);
    entries.set(line.index, { term: line.term, data: line.kind === 'entry' ? line.data : NO_BYTES });
  }
  if (!isSomebody) return undefined;
  const lastIndex = Math.max(base.index, ...entries.keys());
  const there = entries.get(base.index);
  // A log that parts from the snapshot, or ends before it, was about to be emptied for it.
  if (!entries.has(lastIndex) || (there !== undefined && there.term !== base.term)) entries.clear();
  for (const index of entries.keys()) if (index <= base.index) entries.delete(index);
  const last = Math.max(base.index, ...entries.keys());
  return {
    term: Math.max(term, base.term),
    commit: Math.min(Math.max(commit, base.index), last),
    lastIndex: last,
    entries,
  };
}

function linesOf(disk: SimDisk, stateDir: string) {
  try {
    return [...dumpState(disk, stateDir)];
  } catch {
    // It ended before it had its keys.
    return [];
  }
}

function forgetFrom(entries: Map<number, unknown>, from: number): void {
  for (let index = from; entries.delete(index); index += 1);
}
