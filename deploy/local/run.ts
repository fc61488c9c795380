import { spawn } from 'node:child_process';

/** A program of the system that ended with another code than 0; the message carries what it said. */
export class ProgramError extends Error {
  readonly exitCode: number | null;

  constructor(command: readonly string[], exitCode: number | null, output: string) {
    super(`${command.join(' ')}: exit ${exitCode}: ${output.trim()}`);
    this.name = 'ProgramError';
    this.exitCode = exitCode;
  }
}

/** Runs a program to its end and gives back its output; `input` goes to its standard input. */
export function run(command: readonly [string, ...string[]], input?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const [file, ...args] = command;
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(stdout);
      else reject(new ProgramError(command, code, stderr || stdout));
    });
    // A program that ends without reading is judged by its exit code.
    child.stdin.on('error', () => undefined).end(input ?? '');
  });
}

/** Like run(), for what may already be gone: failure is fine. */
export async function attempt(command: readonly [string, ...string[]]): Promise<void> {
  await run(command).catch(() => undefined);
}
