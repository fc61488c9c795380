import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { ShoalError } from '#proto/base/errors.ts';
import type { Container } from './container.ts';
import { emitContainer } from './container-events.ts';
import { linkedNow, linkVariables } from './links.ts';
import { CAPABILITIES } from './linux/capability-names.ts';
import { type ExecProcess, startExec } from './linux/exec-process.ts';
import { outsideId } from './linux/id-map.ts';
import { rootOf, signalProcess } from './linux/process.ts';
import { pathInRoot } from './linux/root-path.ts';
import { RuntimeFailure } from './linux/runtime-failure.ts';
import { randomId } from './names.ts';
import { userNamespaceOf } from './namespaces.ts';
import { wantedCapabilities } from './oci/capabilities.ts';
import { capabilitySets, hasNoNewPrivileges, mergeEnv, ociUser, processEnv } from './oci/config.ts';
import type { OciProcess } from './oci/types.ts';
import { type Accounts, resolveUser } from './oci/user.ts';
import type { EngineParts } from './parts.ts';

/** What a command in a running container is asked to be (POST /containers/{id}/exec). */
export interface ExecConfig {
  readonly cmd: readonly string[];
  readonly user?: string;
  readonly privileged?: boolean;
  readonly tty?: boolean;
  readonly env?: readonly string[];
  readonly workingDir?: string;
  readonly attachStdin?: boolean;
  readonly attachStdout?: boolean;
  readonly attachStderr?: boolean;
  readonly detachKeys?: string;
  readonly consoleSize?: readonly [height: number, width: number];
}

/** A command in a container: made first, started once, known for a while after its end. */
export interface Exec {
  readonly id: string;
  readonly container: Container;
  readonly config: ExecConfig;
  started: boolean;
  process?: ExecProcess;
  exitCode?: number;
  size?: readonly [rows: number, columns: number];
}

const SIGKILL = 9;
/** Commands that have ended and are still known, per engine; Docker forgets them after some minutes. */
const ENDED_KEPT = 256;

type Parts = Pick<
  EngineParts,
  | 'opts'
  | 'machine'
  | 'cgroupMoves'
  | 'containers'
  | 'events'
  | 'runtime'
  | 'spawner'
  | 'clock'
  | 'random'
  | 'userNamespace'
>;

/** Commands in running containers. */
export class Execs {
  readonly #parts: Parts;
  readonly #byId = new Map<string, Exec>();
  readonly #ended: string[] = [];
  readonly #hostnameOf: (container: Container) => string;

  constructor(parts: Parts, modules: { hostnameOf: (container: Container) => string }) {
    this.#parts = parts;
    this.#hostnameOf = modules.hostnameOf;
  }

  create(idOrName: string, config: ExecConfig): Exec {
    const container = this.#parts.containers.find(idOrName);
    mustTakeCommands(container);
    if (config.cmd.length === 0) throw new ShoalError('INVALID_ARGUMENT', 'No exec command specified');
    const exec: Exec = { id: randomId(this.#parts.random), container, config, started: false };
    this.#byId.set(exec.id, exec);
    // It is started next.
    this.#parts.cgroupMoves.expect();
    container.execs.add(exec.id);
    this.#emit(exec, `exec_create: ${config.cmd.join(' ')}`);
    return exec;
  }

  /** NOT_FOUND `No such exec instance: X`. */
  find(id: string): Exec {
    const exec = this.#byId.get(id);
    if (exec === undefined) throw new ShoalError('NOT_FOUND', `No such exec instance: ${id}`);
    return exec;
  }

  /** Forgets what was made in a container that is gone. */
  forget(container: Container): void {
    for (const id of container.execs) this.#byId.delete(id);
    container.execs.clear();
  }

  /** Runs the command. RuntimeFailure when it can't be; its exit code then says so too. */
  async start(exec: Exec): Promise<ExecProcess> {
    mustTakeCommands(exec.container);
    if (exec.started) throw new ShoalError('CONFLICT', `exec command ${exec.id} has already run`);
    exec.started = true;
    this.#emit(exec, `exec_start: ${exec.config.cmd.join(' ')}`);
    try {
      const process = await this.#run(exec);
      exec.process = process;
      if (exec.size) process.terminal?.resize(...exec.size);
      void process.exit.then((code) => this.#noteEnd(exec, code));
      return process;
    } catch (error) {
      this.#noteEnd(exec, error instanceof RuntimeFailure ? error.exitCode : 126);
      throw error;
    }
  }

  #noteEnd(exec: Exec, exitCode: number): void {
    exec.exitCode = exitCode;
    this.#emit(exec, 'exec_die', { exitCode: String(exitCode) });
    this.#ended.push(exec.id);
    if (this.#ended.length <= ENDED_KEPT) return;
    const oldest = this.#byId.get(this.#ended.shift() as string);
    if (oldest === undefined) return;
    oldest.container.execs.delete(oldest.id);
    this.#byId.delete(oldest.id);
  }

  resize(exec: Exec, rows: number, columns: number): void {
    exec.size = [rows, columns];
    exec.process?.terminal?.resize(rows, columns);
  }

  /** Runs a command to its end and says what it wrote, at most so much of it. Killed when the signal aborts. */
  async probe(
    container: Container,
    cmd: readonly string[],
    outputBytesMax: number,
    signal: AbortSignal,
  ): Promise<{ exitCode: number; output: string }> {
    const exec = this.create(container.id, { cmd, attachStdout: true, attachStderr: true });
    try {
      const process = await this.start(exec);
      const kill = (): void => void (process.process && signalProcess(process.process, SIGKILL));
      if (signal.aborted) kill();
      signal.addEventListener('abort', kill, { once: true });
      const output = collect([process.stdout, process.stderr], outputBytesMax);
      const exitCode = await process.exit;
      signal.removeEventListener('abort', kill);
      return { exitCode, output: await output };
    } finally {
      container.execs.delete(exec.id);
      this.#byId.delete(exec.id);
    }
  }

  #run(exec: Exec): Promise<ExecProcess> {
    const { runtime, spawner, clock, opts } = this.#parts;
    const { attachStdin, attachStdout, attachStderr } = exec.config;
    const process = this.#process(exec);
    const owner = this.#ownerOf(process, exec.container);
    return startExec(
      {
        folder: join(opts.execRoot, 'x', exec.id.slice(0, 16)),
        containerId: exec.container.id,
        process,
        ...(owner && { owner }),
        stdin: attachStdin ?? false,
        stdout: attachStdout ?? false,
        stderr: attachStderr ?? false,
      },
      { runtime, spawner, clock },
    );
  }

  /** Who a process in a user namespace is on the machine. */
  #ownerOf({ user }: OciProcess, { spec }: Container): { uid: number; gid: number } | undefined {
    const maps = userNamespaceOf(spec, this.#parts)?.maps;
    const uid = maps && outsideId(maps.users, user.uid);
    const gid = maps && outsideId(maps.groups, user.gid);
    return uid === undefined || gid === undefined ? undefined : { uid, gid };
  }

  #process({ container, config: asked }: Exec): OciProcess {
    const { config, hostConfig } = container.spec;
    const { machine } = this.#parts;
    const user = resolveUser(
      asked.user || config.User || '',
      hostConfig.GroupAdd ?? [],
      accountsOf(container),
    );
    const fromLinks = linkVariables(container.name, linkedNow(container.spec, this.#parts.containers));
    const env = new Map(
      processEnv(
        { ...config, Env: [...fromLinks, ...(config.Env ?? [])] },
        this.#hostnameOf(container),
        user.home,
      ).map((entry) => [entry.split('=', 1)[0] ?? '', entry]),
    );
    if (asked.tty) env.set('TERM', 'TERM=xterm');
    mergeEnv(env, asked.env ?? []);
    const wanted = asked.privileged
      ? CAPABILITIES.map((name) => `CAP_${name}`)
      : wantedCapabilities(hostConfig);
    const [height = 0, width = 0] = asked.consoleSize ?? [];
    return {
      terminal: asked.tty ?? false,
      ...(asked.tty && height > 0 && width > 0 ? { consoleSize: { height, width } } : {}),
      user: ociUser(user),
      args: asked.cmd,
      env: [...env.values()],
      cwd: asked.workingDir || config.WorkingDir || '/',
      capabilities: capabilitySets(wanted, user.uid, machine),
      noNewPrivileges: hasNoNewPrivileges(hostConfig),
    };
  }

  #emit(exec: Exec, action: string, extra: Readonly<Record<string, string>> = {}): void {
    emitContainer(this.#parts.events, exec.container, action, { ...extra, execID: exec.id });
  }
}

function mustTakeCommands(container: Container): void {
  if (container.run.status === 'paused')
    throw new ShoalError(
      'CONFLICT',
      `container ${container.id} is paused, unpause the container before exec`,
    );
  if (container.run.status === 'restarting')
    throw new ShoalError(
      'CONFLICT',
      `container ${container.id} is restarting, wait until the container is running`,
    );
  container.mustRun();
}

function accountsOf(container: Container): Accounts {
  const root = rootOf(container.run.init?.pid ?? 0);
  const read = (path: string): string => {
    try {
      return readFileSync(pathInRoot(root, path), 'utf8');
    } catch {
      return '';
    }
  };
  return { passwd: read('/etc/passwd'), group: read('/etc/group') };
}

/** What streams say together, cut at a length; reads all of them to the end. */
async function collect(streams: readonly (Readable | undefined)[], bytesMax: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  const read = async (stream: Readable | undefined): Promise<void> => {
    if (stream === undefined) return;
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      if (length < bytesMax) chunks.push(chunk.subarray(0, bytesMax - length));
      length += chunk.length;
    }
  };
  await Promise.all(streams.map(read)).catch(() => undefined);
  return Buffer.concat(chunks).toString();
}
