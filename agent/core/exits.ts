import { bothEnded } from './both-ended.ts';
import type { Container } from './container.ts';
import { emitContainer } from './container-events.ts';
import { readExit } from './linux/exit-watch.ts';
import { isAlive, signalProcess } from './linux/process.ts';
import type { EngineParts } from './parts.ts';
import { type ContainerRun, endedAtMs, timestamp } from './record.ts';
import { restartDelayMs, restarts } from './restart.ts';
import type { Starter } from './starter.ts';

type Parts = Pick<EngineParts, 'clock' | 'containers' | 'events' | 'log' | 'runtime'>;

interface Modules {
  readonly starter: Starter;
  /** Starts watching health, logs and the like; called after every start. */
  readonly onStarted: (container: Container) => void;
  /** Keeps what must be kept of a container's output, now that it has ended. */
  readonly onEnded: (container: Container) => void;
  /** For containers that go when they end. */
  readonly remove: (container: Container) => Promise<void>;
}

const SIGKILL = 9;
/** What is reported when nobody saw how a process ended. */
const UNKNOWN_EXIT = 137;
const LOOK_EVERY_MS = 30_000;

/** What happens when a container's process has ended. */
export class Exits implements Disposable {
  readonly #parts: Parts;
  readonly #modules: Modules;
  #cancelLook: () => void = () => undefined;

  constructor(parts: Parts, modules: Modules) {
    this.#parts = parts;
    this.#modules = modules;
  }

  /** Looks for containers whose conmon was killed: nobody will tell of their end. */
  watchSupervisors(): void {
    this.#cancelLook = this.#parts.clock.timer(LOOK_EVERY_MS, () => {
      for (const container of this.#parts.containers.all()) this.#checkSupervisor(container);
      this.watchSupervisors();
    });
  }

  [Symbol.dispose](): void {
    this.#cancelLook();
    for (const container of this.#parts.containers.all()) container.cancelRestart?.();
  }

  #checkSupervisor(container: Container): void {
    const { init, conmon } = container.run;
    if (!container.hasProcess || conmon === undefined || isAlive(conmon)) return;
    const ending = container.lock.run(async () => {
      if (!container.hasProcess || this.#exitOf(container.id)) return;
      this.#parts.log.warn('a container lost its supervisor and is ended', { container: container.id });
      if (init) signalProcess(init, SIGKILL);
      await this.finish(container, { code: UNKNOWN_EXIT, atMs: this.#parts.clock.wallMs() });
    });
    ending.catch((error: unknown) => this.#report(container, error));
  }

  #report({ id }: Container, error: unknown): void {
    this.#parts.log.error('a container could not be brought on its way', { container: id, err: error });
  }

  #exitOf(id: string): { code: number; atMs: number } | undefined {
    return readExit(this.#parts.runtime.exitFolder, id);
  }

  /** conmon has left an exit file of this container; called more than once, perhaps. */
  async onExit(id: string): Promise<void> {
    const container = this.#parts.containers.get(id);
    if (container === undefined) return;
    await container.lock.run(async () => {
      const exit = container.hasProcess ? this.#exitOf(id) : undefined;
      if (exit) await this.finish(container, exit);
    });
  }

  /** Notes the end, clears up, and starts it again or removes it where that was asked. The lock is held. */
  async finish(container: Container, exit: { code: number; atMs: number }): Promise<void> {
    const { runtime, events } = this.#parts;
    const { starter } = this.#modules;
    container.stopHealth?.();
    container.stopHealth = undefined;
    container.stopOomWatch?.[Symbol.dispose]();
    container.stopOomWatch = undefined;
    const { oomKilled: seen } = container.run;
    const sawMore = runtime.sawOom(container.id) || (!seen && starter.cgroup(container.spec).oomKills() > 0);
    const oomKilled = seen || sawMore;
    const { status: _status, init: _init, conmon: _conmon, sandbox: _sandbox, ...before } = container.run;
    const atMs = endedAtMs(exit.atMs, before);
    const again = restarts(container.spec.hostConfig.RestartPolicy, { ...before, exitCode: exit.code });
    const after: ContainerRun = {
      ...before,
      status: again ? 'restarting' : 'exited',
      exitCode: exit.code,
      finishedAt: timestamp(atMs),
      oomKilled,
    };
    const { sandbox } = container.run;
    // Written before the exit file goes: a crash in between finds the one or the other.
    await bothEnded(this.#note(container, after), starter.clear(container, sandbox));
    this.#modules.onEnded(container);
    container.io.finish();
    if (sawMore) emitContainer(events, container, 'oom');
    emitContainer(events, container, 'die', {
      exitCode: String(exit.code),
      execDuration: String(Math.floor((atMs - Date.parse(before.startedAt)) / 1000)),
    });
    container.notifyExit();
    if (again) this.#startLater(container, atMs - Date.parse(before.startedAt));
    else if (container.spec.hostConfig.AutoRemove) await this.#modules.remove(container);
  }

  /** Throws when the next daemon would not know of it. On disk when it resolves; what goes now need not be. */
  #note(container: Container, run: ContainerRun): Promise<void> {
    if (!container.spec.hostConfig.AutoRemove)
      return container.writeRun(run).catch((error: unknown) => {
        this.#parts.log.error('the disk did not take the end of a container', {
          container: container.id,
          err: error,
        });
      });
    container.noteRun(run);
    return Promise.resolve();
  }

  #startLater(container: Container, ranMs: number): void {
    const delayMs = restartDelayMs(container.lastRestartDelayMs, ranMs);
    container.lastRestartDelayMs = delayMs;
    container.cancelRestart = this.#parts.clock.timer(delayMs, () => {
      container.cancelRestart = undefined;
      container.lock
        .run(() => this.#startAgain(container))
        .catch((error: unknown) => this.#report(container, error));
    });
  }

  async #startAgain(container: Container): Promise<void> {
    if (container.run.status !== 'restarting') return;
    try {
      container.updateRun({ restartCount: container.run.restartCount + 1 });
      await this.#modules.starter.start(container);
      this.#modules.onStarted(container);
    } catch (error) {
      this.#parts.log.warn('a container could not be started again', { container: container.id, err: error });
      container.updateRun({ status: 'restarting' });
      this.#startLater(container, 0);
    }
  }
}
