import { parseArgs } from 'node:util';

export interface SimArgs {
  readonly from: number;
  readonly seeds: number;
  readonly members: number | undefined;
  /** Run this one alone, and tell everything. */
  readonly replay: number | undefined;
  readonly workers: number;
}

const SEEDS = 10_000;
const MEMBERS = [3, 5, 7];

/** Throws, saying how it is used, what it can't make out. */
export function readArgs(args: readonly string[], workers: number): SimArgs {
  const text = { type: 'string' } as const;
  const options = { seeds: text, from: text, members: text, seed: text, workers: text };
  const { values } = parseArgs({ args: [...args], options });
  const members = values.members === undefined ? undefined : numberIn('members', values.members);
  if (members !== undefined && !MEMBERS.includes(members))
    throw new Error(`--members is one of ${MEMBERS.join(', ')}`);
  return {
    from: numberIn('from', values.from ?? '1'),
    seeds: numberIn('seeds', values.seeds ?? String(SEEDS)),
    members,
    replay: values.seed === undefined ? undefined : numberIn('seed', values.seed),
    workers: numberIn('workers', values.workers ?? String(workers)),
  };
}

/** What runs one history again, with everything told. */
export function replayCommand({ seed, members }: { seed: number; members?: number | undefined }): string {
  return `npm run sim -- --seed ${seed}${members === undefined ? '' : ` --members ${members}`}`;
}

function numberIn(name: string, text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`--${name} is a whole number above 0`);
  return number;
}
