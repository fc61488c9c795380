import { createInterface } from 'node:readline/promises';

/** Whether somebody at the terminal says yes. Where nobody is, `--yes` must have been given. */
export async function confirmed(question: string, yes: boolean): Promise<boolean> {
  if (yes) return true;
  if (!process.stdin.isTTY) throw new Error('nobody is there to be asked: give --yes to go on');
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return (await terminal.question(`${question} Type "yes" to go on: `)).trim().toLowerCase() === 'yes';
  } finally {
    terminal.close();
  }
}
