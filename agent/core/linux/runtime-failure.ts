import { readFileSync } from 'node:fs';

/** Exit codes that shells and Docker give a command that could not be started. */
export const NOT_EXECUTABLE = 126;
export const NOT_FOUND = 127;
const OTHER = 128;

/** The OCI runtime could not start a process. The message is in the words that Docker's clients look for. */
export class RuntimeFailure extends Error {
  /** 126: may not be executed; 127: not there; 128: anything else. */
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.name = 'RuntimeFailure';
    this.exitCode = exitCode;
  }
}

/** Translates what crun says; `verb` is what failed: `create` or `exec`. */
export function runtimeFailure(verb: 'create' | 'exec', said: string, command: string): RuntimeFailure {
  const { exitCode, reason } = reasonOf(said, command);
  const prefix =
    verb === 'exec'
      ? 'OCI runtime exec failed: exec failed: unable to start container process'
      : 'failed to create task for container: failed to create shim task: OCI runtime create failed: unable to start container process';
  return new RuntimeFailure(exitCode, `${prefix}: ${reason}: unknown`);
}

function reasonOf(said: string, command: string): { exitCode: number; reason: string } {
  const missing = /executable file [`'](.*)[`'] not found in \$PATH/.exec(said);
  if (missing) return { exitCode: NOT_FOUND, reason: notFound(missing[1] ?? command) };
  if (/^(exec|open executable).*(Permission denied|Operation not permitted)/.test(said))
    return { exitCode: NOT_EXECUTABLE, reason: `exec: "${command}": permission denied` };
  if (/^(exec|open executable).*No such file/.test(said))
    return { exitCode: NOT_FOUND, reason: `exec: "${command}": no such file or directory` };
  const folder = /^chdir `(.*)`: No such file/.exec(said)?.[1];
  if (folder !== undefined)
    return {
      exitCode: NOT_FOUND,
      reason: `chdir to cwd ("${folder}") set in config.json failed: no such file or directory`,
    };
  return { exitCode: OTHER, reason: said };
}

function notFound(command: string): string {
  return command.includes('/')
    ? `exec: "${command}": stat ${command}: no such file or directory`
    : `exec: "${command}": executable file not found in $PATH`;
}

/** The last message of a log that crun wrote as JSON lines; undefined when it wrote none. */
export function lastMessage(logFile: string): string | undefined {
  try {
    const line = readFileSync(logFile, 'utf8').trim().split('\n').at(-1) ?? '';
    return (JSON.parse(line) as { msg?: string }).msg;
  } catch {
    return undefined;
  }
}
