import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { readArgs, replayCommand, type SimArgs } from '../support/sim/main-args.ts';
import { type HistoryReport, simulate } from '../support/sim/simulate.ts';

/*
 * Runs seeded histories of groups of managers, and looks in each for what must not be (test/support/sim/truth.ts). With
 * --seed, one of them, with all that happens in it. Ends with 1 when something was found.
 */

const USAGE =
  'npm run sim -- [--seeds N] [--from SEED] [--members 3|5|7] [--workers N]: runs histories\n' +
  'npm run sim -- --seed SEED [--members 3|5|7]: tells one of them';

/** What each worker runs: every so-many-th history. */
interface Share {
  readonly args: SimArgs;
  readonly worker: number;
}

/** On a terminal one line, over and over. */
const PROGRESS = process.stdout.isTTY ? { everyMs: 1_000, end: '\r' } : { everyMs: 30_000, end: '\n' };

async function begin(): Promise<void> {
  try {
    await main(readArgs(process.argv.slice(2), availableParallelism()));
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    process.exitCode = 2;
  }
}

async function main(args: SimArgs): Promise<void> {
  const found = args.replay === undefined ? await runAll(args) : await replay(args.replay, args);
  process.exitCode = found > 0 ? 1 : 0;
}

async function replay(seed: number, { members }: SimArgs): Promise<number> {
  const { violation, figures } = await simulate({ seed, members, tell: (line) => console.log(line) });
  console.log(`\nseed ${seed}: ${violation ?? 'nothing wrong'}\n${say(figures)}`);
  return violation === undefined ? 0 : 1;
}

async function work({ args, worker }: Share): Promise<void> {
  // Errors are made by the thousand, and how they came about is for who replays one.
  Error.stackTraceLimit = 3;
  const { from, seeds, members, workers } = args;
  for (let seed = from + worker; seed < from + seeds; seed += workers)
    parentPort?.postMessage(await simulate({ seed, members }));
}

/** How many histories something was wrong in. */
async function runAll(args: SimArgs): Promise<number> {
  const tally = new Tally(args);
  const workers = Array.from({ length: args.workers }, (_, worker) => start({ args, worker }, tally));
  await Promise.all(workers);
  tally.end();
  return tally.found.length;
}

function start(share: Share, tally: Tally): Promise<void> {
  const worker = new Worker(new URL(import.meta.url), { workerData: share });
  worker.on('message', (report: HistoryReport) => tally.add(report));
  return new Promise((resolve, reject) => {
    worker.on('error', reject);
    worker.on('exit', () => resolve());
  });
}

/** Adds up what was done and found, and says how it goes. */
class Tally {
  readonly #args: SimArgs;
  readonly #startedAtMs = performance.now();
  readonly #sums: Record<string, number> = {};
  readonly found: number[] = [];
  #done = 0;
  #saidAtMs = performance.now();

  constructor(args: SimArgs) {
    this.#args = args;
  }

  add({ seed, violation, figures }: HistoryReport): void {
    this.#done += 1;
    for (const [name, figure] of Object.entries(figures)) this.#sums[name] = (this.#sums[name] ?? 0) + figure;
    if (violation !== undefined) this.#tell(seed, violation);
    if (performance.now() - this.#saidAtMs >= PROGRESS.everyMs) this.#progress(PROGRESS.end);
  }

  end(): void {
    this.#progress('\n');
    console.log(say(this.#sums));
  }

  #tell(seed: number, violation: string): void {
    this.found.push(seed);
    const again = replayCommand({ seed, members: this.#args.members });
    console.log(`\nseed ${seed}: ${violation}\n  again: ${again}`);
  }

  #progress(end: string): void {
    this.#saidAtMs = performance.now();
    const minutes = (this.#saidAtMs - this.#startedAtMs) / 60_000;
    const rate = (this.#done / minutes).toFixed(0);
    const wrong = this.found.length === 0 ? 'nothing wrong' : `${this.found.length} wrong`;
    process.stdout.write(`${this.#done} of ${this.#args.seeds} histories, ${wrong}, ${rate} a minute${end}`);
  }
}

function say(figures: Readonly<Record<string, number>>): string {
  return Object.entries(figures)
    .map(([name, figure]) => `${figure} ${name}`)
    .join(', ');
}

if (isMainThread) await begin();
else await work(workerData as Share);
