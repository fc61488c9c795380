import { closeSync, existsSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { type Clock, sleepOn } from '#proto/base/clock.ts';
import { messageOf, ShoalError } from '#proto/base/errors.ts';
import { ENVIRONMENT, LOAD_MS_MAX, STDERR_BYTES_MAX } from './net-program.ts';
import { ended, inNetworkNamespace, pipe, startProgram } from './sys.ts';

/** What a pipe takes while nobody reads: half of what Linux gives one. */
export const LIGHT_INPUT_BYTES_MAX = 32 * 1024;
const COLLECT_EVERY_MS = 1;

export interface LightEnd {
  readonly code: number;
  readonly stderr: string;
}

/**
 * Runs a short program in a network namespace to its end. Node's own way copies the daemon's memory map each time, and
 * nothing else happens meanwhile, for milliseconds; this takes a fraction of one. The input is at most
 * LIGHT_INPUT_BYTES_MAX, and the standard output is lost. UNAVAILABLE when it can't be started or takes too long.
 */
export async function runLightProgram(
  netns: string | undefined,
  argv: readonly [string, ...string[]],
  input: string,
  modules: { readonly clock: Pick<Clock, 'timer'> },
): Promise<LightEnd> {
  const { pid, stderr } = start(netns, argv, input);
  const cancel = modules.clock.timer(LOAD_MS_MAX, () => process.kill(pid, 'SIGKILL'));
  try {
    const said = await textOf(stderr, pid);
    for (;;) {
      const end = ended(pid);
      if (end === undefined) await sleepOn(modules.clock, COLLECT_EVERY_MS);
      else if ('code' in end) return { code: end.code, stderr: said };
      else throw new ShoalError('UNAVAILABLE', `${argv[0]} was ended by signal ${end.signal}`);
    }
  } finally {
    cancel();
  }
}

function start(
  netns: string | undefined,
  [program, ...args]: readonly [string, ...string[]],
  input: string,
): { readonly pid: number; readonly stderr: number } {
  const stdin = pipe();
  const stderr = pipe();
  try {
    const path = pathOf(program);
    const begin = (): number =>
      startProgram({ path, args, env: ENVIRONMENT, stdin: stdin.read, stderr: stderr.write });
    const pid = netns === undefined ? begin() : inNetworkNamespace(netns, begin);
    writeSync(stdin.write, input);
    return { pid, stderr: stderr.read };
  } catch (cause) {
    closeSync(stderr.read);
    throw new ShoalError('UNAVAILABLE', `${program} can't be run: ${messageOf(cause)}`, { cause });
  } finally {
    for (const end of [stdin.read, stdin.write, stderr.write]) closeSync(end);
  }
}

const paths = new Map<string, string>();

/** Where the program is; looked for once. */
function pathOf(program: string): string {
  const found =
    paths.get(program) ??
    ENVIRONMENT.PATH.split(':')
      .map((folder) => join(folder, program))
      .find((path) => existsSync(path));
  if (found === undefined) throw new Error(`it is not in ${ENVIRONMENT.PATH}`);
  paths.set(program, found);
  return found;
}

/** All that is said until nobody can say more; who says too much is ended. */
async function textOf(fd: number, pid: number): Promise<string> {
  const stream = new Socket({ fd, readable: true, writable: false });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += (chunk as Buffer).length;
    if (bytes > STDERR_BYTES_MAX) process.kill(pid, 'SIGKILL');
    else chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString();
}
