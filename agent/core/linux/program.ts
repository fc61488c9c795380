import { execFile } from 'node:child_process';

const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;

/** Runs a program of the system to its end: for what happens seldom. The engine's hot paths use the Spawner. */
export function runProgram(
  file: string,
  args: readonly string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    execFile(file, args, { maxBuffer: OUTPUT_BYTES_MAX }, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(error);
      else resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });
}
