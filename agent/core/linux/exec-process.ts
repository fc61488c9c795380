import { chownSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Clock } from '#proto/base/clock.ts';
import { fifoWriter, readFifo, wakeFifo } from './fifo.ts';
import { type ProcessRef, processRef } from './process.ts';
import type { Runtime } from './runtime.ts';
import { lastMessage, type RuntimeFailure, runtimeFailure } from './runtime-failure.ts';
import { quoted, type Spawner } from './spawner.ts';
import { mkfifo } from './sys.ts';
import { ConsoleSocket, type Terminal } from './terminal.ts';

/** A process may leave others behind that keep its output open; they are not waited for longer. */
const OUTPUT_AFTER_EXIT_MS = 3_000;

export interface ExecSpec {
  /** Made for this process, removed at its end. */
  readonly folder: string;
  readonly containerId: string;
  /** `process` of the OCI runtime specification. */
  readonly process: { readonly args: readonly string[]; readonly terminal: boolean };
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** The machine's ids of the process, where they are not those in `process`: it may open its pipes by name. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/** A process that was put into a running container. */
export interface ExecProcess {
  /** Undefined when it ended so soon that it could not be seen. */
  readonly process: ProcessRef | undefined;
  readonly stdin?: Socket;
  readonly stdout?: Socket;
  readonly stderr?: Socket;
  readonly terminal?: Terminal;
  /** Its exit code. Streams end on their own, soon after. */
  readonly exit: Promise<number>;
}

/** What crun reads before it does anything. */
const PROCESS_FILE = 'p.json';
const FIFOS = ['pid', 'in', 'out', 'err'];

interface Modules {
  readonly runtime: Runtime;
  readonly spawner: Spawner;
  readonly clock: Clock;
}

/** Starts a process in a container; resolves when it runs. RuntimeFailure when it could not be started. */
export async function startExec(spec: ExecSpec, modules: Modules): Promise<ExecProcess> {
  mkdirSync(spec.folder, { recursive: true, mode: 0o700 });
  using consoleSocket = spec.process.terminal ? new ConsoleSocket(join(spec.folder, 'c')) : undefined;
  const pipes = openPipes(spec);
  const exit = modules.spawner.code(commandLine(spec, modules.runtime));
  const ended = exit.then(() => closePipes(pipes, modules.clock));
  const pid = await Promise.race([pidFrom(pipes.pid.stream), ended.then(() => undefined)]);
  const failure = pid === undefined ? failureOf(spec, await exit) : undefined;
  if (failure) {
    destroyAll(pipes);
    rmSync(spec.folder, { recursive: true, force: true });
    throw failure;
  }
  const terminal = await consoleSocket?.receive(modules.clock);
  void ended.then(() => rmSync(spec.folder, { recursive: true, force: true }));
  return {
    process: pid === undefined ? undefined : processRef(pid),
    ...(terminal
      ? { stdin: terminal.stream, stdout: terminal.stream, terminal }
      : {
          ...(pipes.stdin && { stdin: pipes.stdin }),
          ...(pipes.stdout && { stdout: pipes.stdout.stream }),
          ...(pipes.stderr && { stderr: pipes.stderr.stream }),
        }),
    exit,
  };
}

interface Pipes {
  /** crun writes its "pid file" here when the process is there: nobody need look again and again. */
  readonly pid: ReturnType<typeof readFifo>;
  readonly stdin?: Socket;
  readonly stdout?: ReturnType<typeof readFifo>;
  readonly stderr?: ReturnType<typeof readFifo>;
}

function openPipes(spec: ExecSpec): Pipes {
  const make = (name: string): string => {
    const path = join(spec.folder, name);
    mkfifo(path, 0o600);
    if (spec.owner && name !== 'pid') chownSync(path, spec.owner.uid, spec.owner.gid);
    return path;
  };
  const piped = !spec.process.terminal;
  writeFileSync(join(spec.folder, PROCESS_FILE), JSON.stringify(spec.process));
  return {
    pid: readFifo(make('pid')),
    ...(piped && spec.stdin && { stdin: fifoWriter(make('in')) }),
    ...(piped && spec.stdout && { stdout: readFifo(make('out')) }),
    ...(piped && spec.stderr && { stderr: readFifo(make('err')) }),
  };
}

function commandLine(spec: ExecSpec, runtime: Runtime): string {
  const at = (name: string): string => quoted(join(spec.folder, name));
  const piped = !spec.process.terminal;
  return [
    `${quoted(runtime.crun)} --root=${quoted(runtime.stateRoot)} --log=${at('log')} --log-format=json exec`,
    `--process ${at(PROCESS_FILE)} --pid-file /proc/self/fd/3`,
    spec.process.terminal ? `--console-socket ${at('c')}` : '',
    spec.containerId,
    // Open for reading as well: a crun that waits here for a daemon that was killed would not collect its process, and
    // the kernel lets no container end before that.
    `3<>${at('pid')}`,
    `<${piped && spec.stdin ? at('in') : '/dev/null'}`,
    `>${piped && spec.stdout ? at('out') : '/dev/null'}`,
    `2>${piped && spec.stderr ? at('err') : '/dev/null'}`,
  ].join(' ');
}

/**
 * Removes the folders of an earlier daemon's commands; `parent` has one each. What waits there to be heard by it, or to
 * hear from it, goes on: those that run until they write, those that had not begun until they miss their file.
 */
export function forgetExecs(parent: string): void {
  const folders = foldersIn(parent);
  for (const folder of folders) rmSync(join(folder, PROCESS_FILE), { force: true });
  for (const folder of folders) for (const name of FIFOS) wakeFifo(join(folder, name));
  rmSync(parent, { recursive: true, force: true });
}

function foldersIn(parent: string): string[] {
  try {
    return readdirSync(parent).map((name) => join(parent, name));
  } catch {
    return [];
  }
}

function pidFrom(stream: Socket): Promise<number | undefined> {
  return new Promise((resolve) => {
    stream.once('data', (data) => resolve(Number(data.toString('latin1').trim()) || undefined));
    stream.once('error', () => resolve(undefined));
  });
}

const RUNTIME_FAILED = 255;

/** What went wrong, when the process never came to be: crun says 255 then, as a process itself may. */
function failureOf(spec: ExecSpec, code: number): RuntimeFailure | undefined {
  if (code !== RUNTIME_FAILED) return undefined;
  const said = lastMessage(join(spec.folder, 'log'));
  return said === undefined ? undefined : runtimeFailure('exec', said, spec.process.args[0] ?? '');
}

function closePipes(pipes: Pipes, clock: Clock): void {
  pipes.pid.release();
  pipes.pid.stream.destroy();
  pipes.stdin?.destroy();
  for (const output of [pipes.stdout, pipes.stderr]) {
    if (output === undefined) continue;
    output.release();
    output.stream.once(
      'close',
      clock.timer(OUTPUT_AFTER_EXIT_MS, () => output.stream.destroy()),
    );
  }
}

function destroyAll(pipes: Pipes): void {
  for (const stream of [pipes.stdin, pipes.stdout?.stream, pipes.stderr?.stream]) stream?.destroy();
}
