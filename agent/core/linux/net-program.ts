import { type ChildProcess, spawn } from 'node:child_process';
import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { inNetworkNamespace } from './sys.ts';

/** A whole table of a large cluster takes a while. */
export const LOAD_MS_MAX = 60_000;
/** More than that is no answer but a program gone mad. */
export const STDERR_BYTES_MAX = 1 << 20;
const STDOUT_BYTES_MAX = 64 << 20;
/** Of every program that changes the network. */
export const ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
};

/** Starts a program in a network namespace; in our own when `netns` is undefined. */
export function spawnIn(
  netns: string | undefined,
  program: string,
  args: readonly string[],
  stdio: readonly ('pipe' | 'ignore')[],
): ChildProcess {
  const start = (): ChildProcess => spawn(program, args, { stdio: [...stdio], env: ENVIRONMENT, cwd: '/' });
  return netns === undefined ? start() : inNetworkNamespace(netns, start);
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end with this input. UNAVAILABLE when it can't be started or takes too long. */
export async function runProgram(
  netns: string | undefined,
  argv: readonly [string, ...string[]],
  input: string,
  modules: { readonly clock: Pick<Clock, 'timer'> },
): Promise<Ended> {
  const [program, ...args] = argv;
  const child = spawnIn(netns, program, args, ['pipe', 'pipe', 'pipe']);
  const cancel = modules.clock.timer(LOAD_MS_MAX, () => child.kill('SIGKILL'));
  try {
    const stdout = collect(child.stdout, STDOUT_BYTES_MAX, child);
    const stderr = collect(child.stderr, STDERR_BYTES_MAX, child);
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
    const code = await ending(child, program);
    return { code, stdout: await stdout, stderr: await stderr };
  } finally {
    cancel();
  }
}

function ending(child: ChildProcess, program: string): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new ShoalError('UNAVAILABLE', `${program} can't be run: ${cause.message}`, { cause })),
    );
    child.once('close', (code, signal) => {
      if (signal === null) resolve(code);
      else reject(new ShoalError('UNAVAILABLE', `${program} was ended by ${signal}`));
    });
  });
}

async function collect(
  stream: NodeJS.ReadableStream | null,
  bytesMax: number,
  child: ChildProcess,
): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream ?? []) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes > bytesMax) child.kill('SIGKILL');
  }
  return Buffer.concat(chunks).toString();
}
