/**
 * `npm run bench`: Shoal beside a peer, measured in turns within one run; see README.md.
 *   npm run bench                 lists the benches
 *   npm run bench -- NAME         runs one and prints a table
 *     --json                      prints a JSON object a line instead; what else there is to say goes to stderr
 *     --runs N                    how often each slice is measured on both sides
 *     --slice NAME                only this slice (may be given more than once)
 *     --install                   fetches the peer where it is missing
 *     --profile DIR               Shoal's daemon leaves a CPU profile there when it ends
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { findPeer, howToGet, installPeer, type Peer, type Programs } from './peers/peer.ts';
import { loadNote, untilQuiet } from './quiet.ts';
import { linesOf, tableOf } from './report.ts';
import { type Outcome, runBench } from './runner.ts';
import type { Bench } from './subject.ts';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    runs: { type: 'string' },
    slice: { type: 'string', multiple: true, default: [] },
    install: { type: 'boolean', default: false },
    profile: { type: 'string' },
  },
});

const BENCHES = join(import.meta.dirname, 'benches');
const RUNS_MAX = 50;
const QUIET_WAIT_MS = 10_000;

async function main(): Promise<void> {
  const [name] = positionals;
  if (name === undefined) return await list();
  const bench = await find(name);
  const programs = await programsOf(bench.peer);
  const runs = runsOf(bench);
  if (flags.profile !== undefined) profileInto(resolve(flags.profile));
  const before = loadNote();
  await runBench(
    bench,
    { runs, slices: flags.slice },
    {
      ...(await bench.subjects(programs)),
      say: (step) => console.error(step),
      untilQuiet: (signal) => untilQuiet(QUIET_WAIT_MS, signal),
      report: (outcome) => report(name, bench, outcome, [`before: ${before}`, `after: ${loadNote()}`]),
      signal: interruption(),
    },
  );
}

/** Aborts when the user has had enough: everything under way gives up, and what was started is stopped. */
function interruption(): AbortSignal {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      console.error('stopping what was started …');
      interrupted.abort(new Error(`interrupted by ${signal}`));
    });
  }
  return interrupted.signal;
}

async function list(): Promise<void> {
  for (const name of await names()) console.log(`${name.padEnd(12)} ${(await find(name)).about}`);
}

async function names(): Promise<string[]> {
  const files = (await readdir(BENCHES)).filter((file) => file.endsWith('.ts'));
  return files.map((file) => file.slice(0, -'.ts'.length)).sort();
}

async function find(name: string): Promise<Bench> {
  const file = join(BENCHES, `${name}.ts`);
  if (!/^[a-z0-9-]+$/.test(name) || !existsSync(file)) {
    throw new Error(`there is no bench ${name}: ${(await names()).join(', ')}`);
  }
  return ((await import(file)) as { bench: Bench }).bench;
}

async function programsOf(peer: Peer): Promise<Programs> {
  const found = findPeer(peer);
  if (found !== undefined) return found;
  if (!flags.install) throw new Error(howToGet(peer));
  console.error(`fetching ${peer.packages.join(', ')}`);
  await installPeer(peer);
  const installed = findPeer(peer);
  if (installed === undefined)
    throw new Error(`${peer.packages.join(', ')} lack ${peer.programs.join(', ')}`);
  return installed;
}

function runsOf(bench: Bench): number {
  const runs = flags.runs === undefined ? bench.runs : Number(flags.runs);
  if (Number.isInteger(runs) && runs >= 1 && runs <= RUNS_MAX) return runs;
  throw new Error(`invalid --runs ${flags.runs}: a whole number from 1 to ${RUNS_MAX} is expected`);
}

/** Programs started from here inherit it; it means something to Node alone. */
function profileInto(folder: string): void {
  process.env['NODE_OPTIONS'] = `--cpu-prof --cpu-prof-dir=${folder}`;
}

function report(name: string, bench: Bench, outcome: Outcome, notes: readonly string[]): void {
  const quiet = `${outcome.noisy} of ${outcome.slices} slices began on a machine that was busy otherwise`;
  if (flags.json) for (const line of linesOf(name, bench, outcome)) console.log(JSON.stringify(line));
  else console.log(tableOf(name, bench, outcome));
  for (const note of [...notes, quiet]) console.error(note);
}

try {
  await main();
  process.exit(0);
} catch (error) {
  console.error(`bench: ${(error as Error).message}`);
  process.exit(1);
}
