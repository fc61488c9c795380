import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { PutClient } from './put-client.ts';
import type { ShoalGroup } from './shoal-group.ts';

/** A write each: seldom enough that what fills the processors is not the group itself. */
const WRITE_EVERY_MS = 20;

export interface Soaked {
  /** Terms that began meanwhile: each is an election that somebody started and won or lost. */
  readonly elections: number;
  readonly refused: number;
  readonly slowestMs: number;
}

/** Writes steadily to a group for so long, while other programs want all of every processor. */
export async function soak(group: ShoalGroup, ms: number, signal: AbortSignal): Promise<Soaked> {
  const before = await group.term();
  const busy = Array.from({ length: availableParallelism() }, () => busyProgram(ms));
  try {
    const writes = await writeSteadily(group.clientPort(await group.leader()), ms, signal);
    return { ...writes, elections: (await group.term()) - before };
  } finally {
    await Promise.all(busy.map(end));
  }
}

async function writeSteadily(
  port: number,
  ms: number,
  signal: AbortSignal,
): Promise<Omit<Soaked, 'elections'>> {
  using client = new PutClient(port);
  const untilMs = performance.now() + ms;
  let refused = 0;
  let slowestMs = 0;
  for (let beganMs = performance.now(); beganMs < untilMs; beganMs = performance.now()) {
    if (!(await client.put(Buffer.from('soak'), Buffer.from(String(beganMs))))) refused += 1;
    slowestMs = Math.max(slowestMs, performance.now() - beganMs);
    await sleep(WRITE_EVERY_MS, undefined, { signal });
  }
  return { refused, slowestMs };
}

/** One that never rests, in a session of its own as a container has; it ends by itself, should nobody end it. */
function busyProgram(ms: number): ChildProcess {
  const source = `const until = Date.now() + ${ms + 60_000}; while (Date.now() < until);`;
  return spawn(process.execPath, ['-e', source], { stdio: 'ignore', detached: true });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
