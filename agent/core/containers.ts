import { codeOf, messageOf, ShoalError } from '#proto/base/errors.ts';
import type { Container } from './container.ts';
import { emitContainer } from './container-events.ts';
import type { CreateRequest } from './container-types.ts';
import type { Creator } from './creator.ts';
import type {
  ContainerExit,
  ContainerSummary,
  Containers,
  LogOpts,
  LogRecord,
  TaskExtras,
  WaitCondition,
} from './engine.ts';
import type { Execs } from './execs.ts';
import type { Exits } from './exits.ts';
import type { Attachment } from './io.ts';
import { isAlive, signalProcess } from './linux/process.ts';
import { signalNumber } from './linux/signals.ts';
import { logOptions } from './logs/options.ts';
import { readLog } from './logs/reader.ts';
import { checkedContainerName } from './names.ts';
import type { EngineParts } from './parts.ts';
import type { Remover } from './remover.ts';
import { stopDefaults } from './restart.ts';
import type { Starter } from './starter.ts';

const SIGKILL = 9;
/** After SIGKILL the kernel ends a process soon, unless its disk or network file system hangs. */
const KILL_WAIT_MS = 10_000;

interface Modules {
  readonly creator: Creator;
  readonly starter: Starter;
  readonly exits: Exits;
  readonly remover: Remover;
  readonly execs: Execs;
  /** Starts watching a container that has been started. */
  readonly onStarted: (container: Container) => void;
}

/** The containers of this machine: the whole of what `docker container` can ask for, but commands in them. */
export class ContainerEngine implements Containers {
  readonly #parts: EngineParts;
  readonly #modules: Modules;

  constructor(parts: EngineParts, modules: Modules) {
    this.#parts = parts;
    this.#modules = modules;
  }

  find(idOrName: string): Container {
    return this.#parts.containers.find(idOrName);
  }

  all(): Container[] {
    return this.#parts.containers.all();
  }

  create(
    name: string | undefined,
    request: CreateRequest,
    extras?: TaskExtras,
  ): Promise<{ id: string; warnings: string[] }> {
    return this.#modules.creator.create(name, request, extras);
  }

  async start(idOrName: string): Promise<void> {
    const container = this.find(idOrName);
    await container.lock.run(async () => {
      const { status } = container.run;
      if (status === 'paused')
        throw new ShoalError('CONFLICT', 'cannot start a paused container, try unpause instead');
      if (status === 'running')
        throw new ShoalError('NOT_MODIFIED', `container ${container.name} runs already`);
      if (status === 'removing' || status === 'dead')
        throw new ShoalError('CONFLICT', 'container is marked for removal and cannot be started');
      container.cancelRestart?.();
      container.cancelRestart = undefined;
      container.lastRestartDelayMs = 0;
      await this.#start(container);
    });
  }

  async #start(container: Container): Promise<void> {
    try {
      await this.#modules.starter.start(container);
    } catch (error) {
      container.notifyExit();
      if (container.spec.hostConfig.AutoRemove) await this.#modules.remover.removeLocked(container, true);
      throw error;
    }
    if (container.run.restartCount > 0) container.updateRun({ restartCount: 0 });
    this.#modules.onStarted(container);
  }

  async stop(idOrName: string, opts: { signal?: string; graceMs?: number } = {}): Promise<void> {
    const container = this.find(idOrName);
    if (!container.isRunning)
      throw new ShoalError('NOT_MODIFIED', `container ${container.name} does not run`);
    const defaults = stopDefaults(container.spec.config);
    const signal = signalNumber(opts.signal || defaults.signal);
    await this.#stop(container, signal, opts.graceMs ?? defaults.graceMs);
    emitContainer(this.#parts.events, container, 'stop');
  }

  /** A negative grace period: for ever. */
  async #stop(container: Container, signal: number, graceMs: number): Promise<void> {
    if (await this.#cancelledRestart(container)) return;
    this.#noteStopped(container);
    this.#send(container, signal);
    if (signal !== SIGKILL && !(await this.#endsWithin(container, graceMs))) this.#send(container, SIGKILL);
    if (!(await this.#endsWithin(container, KILL_WAIT_MS)))
      throw new ShoalError(
        'INTERNAL',
        `container ${container.id} did not end: its processes may wait for a device`,
      );
  }

  /** On disk only where it matters after a crash: a container that would be started again. */
  #noteStopped(container: Container): void {
    const run = { ...container.run, stoppedByUser: true };
    if (container.spec.hostConfig.RestartPolicy?.Name === 'no') container.noteRun(run);
    else container.replaceRun(run);
  }

  /** A container between two starts has no process; it just isn't started again. */
  #cancelledRestart(container: Container): Promise<boolean> {
    return container.lock.run(async () => {
      if (container.run.status !== 'restarting') return false;
      container.cancelRestart?.();
      container.cancelRestart = undefined;
      container.updateRun({ status: 'exited', stoppedByUser: true });
      container.notifyExit();
      return true;
    });
  }

  async #endsWithin(container: Container, ms: number): Promise<boolean> {
    if (!container.isRunning) return true;
    const { clock } = this.#parts;
    const giveUp = new AbortController();
    const cancel = ms < 0 ? undefined : clock.timer(ms, () => giveUp.abort());
    return container
      .wait('not-running', giveUp.signal)
      .then(
        () => true,
        () => !container.isRunning,
      )
      .finally(cancel);
  }

  #send(container: Container, signal: number): void {
    const { init, status } = container.run;
    if (init === undefined) return;
    emitContainer(this.#parts.events, container, 'kill', { signal: String(signal) });
    if (signal === SIGKILL) container.io.stopWaiting();
    signalProcess(init, signal);
    if (status === 'paused') this.#modules.starter.cgroup(container.spec).thaw();
  }

  async kill(idOrName: string, signal: string): Promise<void> {
    const container = this.find(idOrName);
    const number = signalNumber(signal || 'SIGKILL');
    if (await this.#cancelledRestart(container)) return;
    if (!container.hasProcess)
      throw new ShoalError(
        'CONFLICT',
        `cannot kill container: ${idOrName}: container ${container.id} is not running`,
      );
    const own = container.spec.config.StopSignal;
    const ends = number === SIGKILL || !own || signalNumber(own) === number;
    if (ends) this.#noteStopped(container);
    this.#send(container, number);
    if (number === SIGKILL) await this.#endsWithin(container, KILL_WAIT_MS);
  }

  async restart(idOrName: string, opts: { signal?: string; graceMs?: number } = {}): Promise<void> {
    const container = this.find(idOrName);
    const defaults = stopDefaults(container.spec.config);
    if (container.isRunning) {
      const goes = container.spec.hostConfig.AutoRemove;
      // It is stopped to be started again, not to be removed.
      if (goes) container.updateSpec({ hostConfig: { ...container.spec.hostConfig, AutoRemove: false } });
      await this.#stop(
        container,
        signalNumber(opts.signal || defaults.signal),
        opts.graceMs ?? defaults.graceMs,
      );
      emitContainer(this.#parts.events, container, 'stop');
      if (goes) container.updateSpec({ hostConfig: { ...container.spec.hostConfig, AutoRemove: true } });
    }
    await this.start(container.id);
    emitContainer(this.#parts.events, container, 'restart');
  }

  async remove(idOrName: string, opts: { force?: boolean; volumes?: boolean } = {}): Promise<void> {
    const container = this.find(idOrName);
    if (container.run.status === 'removing')
      throw new ShoalError('CONFLICT', `removal of container ${container.name} is already in progress`);
    if (container.isRunning) {
      if (!opts.force) throw cannotRemove(container);
      await this.#stop(container, SIGKILL, KILL_WAIT_MS);
    }
    await this.#modules.remover.remove(container, opts.volumes ?? false);
  }

  async pause(idOrName: string): Promise<void> {
    const container = this.find(idOrName);
    await container.lock.run(async () => {
      const { status } = container.run;
      if (status === 'paused')
        throw new ShoalError('CONFLICT', `container ${container.id} is already paused`);
      if (status === 'restarting')
        throw new ShoalError(
          'CONFLICT',
          `container ${container.id} is restarting, wait until the container is running`,
        );
      container.mustRun();
      await this.#modules.starter.cgroup(container.spec).freeze();
      container.updateRun({ status: 'paused' });
      emitContainer(this.#parts.events, container, 'pause');
    });
  }

  async unpause(idOrName: string): Promise<void> {
    const container = this.find(idOrName);
    await container.lock.run(async () => {
      if (container.run.status !== 'paused')
        throw new ShoalError('INTERNAL', `Container ${container.id} is not paused`);
      this.#modules.starter.cgroup(container.spec).thaw();
      container.updateRun({ status: 'running' });
      emitContainer(this.#parts.events, container, 'unpause');
    });
  }

  async rename(idOrName: string, newName: string): Promise<void> {
    const name = newName.replace(/^\//, '');
    const container = this.find(idOrName);
    if (newName === '') throw new ShoalError('INVALID_ARGUMENT', 'Neither old nor new names may be empty');
    await container.lock.run(async () => {
      const old = container.name;
      if (name === old)
        throw new ShoalError(
          'INVALID_ARGUMENT',
          'Renaming a container with the same name as its current name',
        );
      allocating(() => this.#parts.containers.reserve(checkedContainerName(name), container.id));
      container.updateSpec({ name });
      this.#parts.containers.releaseName(old);
      emitContainer(this.#parts.events, container, 'rename', { oldName: `/${old}` });
    });
  }

  wait(idOrName: string, condition: WaitCondition, signal?: AbortSignal): Promise<ContainerExit> {
    return this.find(idOrName).wait(condition, signal);
  }

  async healthy(idOrName: string, signal: AbortSignal): Promise<void> {
    const container = this.find(idOrName);
    const status = (): string | undefined => container.run.health?.Status;
    const settled = (): boolean => !container.hasProcess || status() === undefined || status() !== 'starting';
    await container.until(settled, signal);
    if (!container.hasProcess)
      throw new ShoalError(
        'FAILED_PRECONDITION',
        `container ${container.id} has ended with code ${container.run.exitCode}`,
      );
    if (status() === 'unhealthy')
      throw new ShoalError('FAILED_PRECONDITION', `container ${container.id} is unhealthy`);
  }

  becameUnhealthy(idOrName: string, signal: AbortSignal): Promise<void> {
    const container = this.find(idOrName);
    return container.until(() => container.run.health?.Status === 'unhealthy', signal);
  }

  summary(idOrName: string): ContainerSummary {
    return this.find(idOrName).summary();
  }

  withLabel(label: string, value?: string): ContainerSummary[] {
    const carries = ({ spec }: Container): boolean => {
      const found = spec.config.Labels?.[label];
      return found !== undefined && (value === undefined || found === value);
    };
    return this.all()
      .filter(carries)
      .map((container) => container.summary());
  }

  /** NOT_IMPLEMENTED when nothing is kept of what it says. */
  mustKeepLogs(idOrName: string): Container {
    const container = this.find(idOrName);
    if (logOptions(container.spec.hostConfig).driver === 'none')
      throw new ShoalError('NOT_IMPLEMENTED', 'configured logging driver does not support reading');
    return container;
  }

  async *logs(idOrName: string, opts: LogOpts, signal?: AbortSignal): AsyncGenerator<LogRecord> {
    const container = this.mustKeepLogs(idOrName);
    using ended = endOf(container);
    const path = this.#parts.rootfs.logPath(container.id);
    yield* readLog(path, opts, ended.signal, signal ?? new AbortController().signal);
  }

  logPath(container: Container): string {
    const keeps = logOptions(container.spec.hostConfig).driver !== 'none';
    return keeps ? this.#parts.rootfs.logPath(container.id) : '';
  }

  /** Joins the streams of a container, now or when it starts. */
  attach(idOrName: string): Attachment {
    const container = this.find(idOrName);
    const { status, conmon } = container.run;
    if (status === 'paused')
      throw new ShoalError(
        'CONFLICT',
        `container ${container.id} is paused, unpause the container before attach`,
      );
    if (status === 'restarting')
      throw new ShoalError(
        'CONFLICT',
        `container ${container.id} is restarting, wait until the container is running`,
      );
    const attachable = status === 'running' && conmon !== undefined && isAlive(conmon);
    emitContainer(this.#parts.events, container, 'attach');
    return container.io.attach(attachable ? this.#parts.runtime.attachPath(container.id) : undefined);
  }

  resize(idOrName: string, rows: number, columns: number): void {
    const container = this.find(idOrName);
    container.mustRun();
    if (!this.#parts.runtime.resize(container.id, rows, columns)) return;
    emitContainer(this.#parts.events, container, 'resize', { height: String(rows), width: String(columns) });
  }
}

function allocating(act: () => void): void {
  try {
    act();
  } catch (error) {
    throw new ShoalError(codeOf(error), `Error when allocating new name: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Aborts when the container's present process has ended; at once when it has none. */
function endOf(container: Container): { signal: AbortSignal } & Disposable {
  const ended = new AbortController();
  const leaving = new AbortController();
  if (!container.isRunning) ended.abort();
  else
    container.wait('next-exit', leaving.signal).then(
      () => ended.abort(),
      () => undefined,
    );
  return { signal: ended.signal, [Symbol.dispose]: () => leaving.abort() };
}

function cannotRemove(container: Container): ShoalError {
  const advice =
    container.run.status === 'paused'
      ? 'container is paused and must be unpaused first'
      : container.run.status === 'restarting'
        ? 'container is restarting: stop the container before removing or force remove'
        : 'container is running: stop the container before removing or force remove';
  return new ShoalError('CONFLICT', `cannot remove container "${container.name}": ${advice}`);
}
