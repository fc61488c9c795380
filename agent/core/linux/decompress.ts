import { spawn } from 'node:child_process';
import { ShoalError } from '#proto/base/errors.ts';

/** Compressions that Node does not have, by the programs that Debian has for them. */
export type DecompressProgram = 'xz' | 'bzip2';

const ERROR_CHARS_MAX = 1000;

/** The content of a compressed file. The program ends with the iteration, however that ends. */
export async function* decompressWith(
  program: DecompressProgram,
  path: string,
): AsyncGenerator<Buffer, void> {
  const child = spawn(program, ['-dc', '--', path], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] },
  });
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => {
    if (complaint.length < ERROR_CHARS_MAX) complaint += chunk.toString();
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', (error) => {
      reject(
        new ShoalError(
          'FAILED_PRECONDITION',
          `${program} cannot be run, which this archive needs: ${error.message}`,
        ),
      );
    });
    child.once('close', resolve);
  });
  ended.catch(() => undefined);
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    const exitCode = await ended;
    if (exitCode !== 0)
      throw new ShoalError('INVALID_ARGUMENT', `${program}: ${complaint.trim() || `exit code ${exitCode}`}`);
  } finally {
    child.kill('SIGKILL');
  }
}
