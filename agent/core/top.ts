import { ShoalError } from '#proto/base/errors.ts';
import { runProgram } from './linux/program.ts';

/** `docker top`: the processes of a container as ps shows them. */
export async function processTable(
  pids: readonly number[],
  psArgs: string,
): Promise<{ Titles: string[]; Processes: string[][] }> {
  const args = psArgs.trim() === '' ? ['-ef'] : psArgs.trim().split(/\s+/);
  const { code, stdout, stderr } = await runProgram('ps', args);
  if (code !== 0) throw new ShoalError('INTERNAL', `ps: ${stderr.trim().split('\n')[0]}`);
  const [header = '', ...lines] = stdout.trimEnd().split('\n');
  const Titles = header.trim().split(/\s+/);
  const pidColumn = Titles.indexOf('PID');
  if (pidColumn < 0) throw new ShoalError('INTERNAL', "Couldn't find PID field in ps output");
  const wanted = new Set(pids);
  const Processes = lines
    .map((line) => columns(line, Titles.length))
    .filter((row) => wanted.has(Number(row[pidColumn])));
  return { Titles, Processes };
}

/** Words of a line; the last column takes all the rest. */
function columns(line: string, count: number): string[] {
  const words = line.trim().split(/\s+/);
  return [...words.slice(0, count - 1), words.slice(count - 1).join(' ')];
}
