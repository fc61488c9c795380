import { ShoalError } from '#proto/base/errors.ts';
import type { Step, StepResult, StepRunner } from './build/step-runner.ts';
import { BundleWriter } from './bundle.ts';
import { checkUserNamespace } from './conflicts.ts';
import { Container, type ContainerMemory } from './container.ts';
import { EventBus } from './events.ts';
import { ContainerIo } from './io.ts';
import { readExit } from './linux/exit-watch.ts';
import { mappedLayers, mountOverlayAside } from './linux/overlay.ts';
import { signalProcess } from './linux/process.ts';
import type { UserNamespace } from './linux/user-namespace.ts';
import type { EngineParts } from './parts.ts';
import { type ContainerSpec, NEW_RUN, timestamp } from './record.ts';
import { completedHostConfig } from './settings.ts';
import { Starter } from './starter.ts';

const SIGKILL = 9;
/** conmon writes the exit code right before it ends, which is when its output ends. */
const EXIT_CODE_TRIES_MAX = 2_000;
const FORGETFUL: ContainerMemory = {
  write: () => undefined,
  committed: () => Promise.resolve(),
  commit: () => undefined,
};

/** Runs the commands of builds as containers that nobody lists and nothing remembers. */
export class StepRuns implements StepRunner {
  readonly #parts: EngineParts;

  constructor(parts: EngineParts) {
    this.#parts = parts;
  }

  async run(step: Step): Promise<StepResult> {
    step.signal.throwIfAborted();
    const container = this.#container(step);
    const starter = this.#starter(step);
    const attachment = container.io.attach(undefined);
    const kill = (): void => {
      container.io.stopWaiting();
      if (container.run.init) signalProcess(container.run.init, SIGKILL);
    };
    await starter.start(container);
    step.signal.addEventListener('abort', kill, { once: true });
    try {
      if (step.signal.aborted) kill();
      for await (const { stream, data } of attachment.output) await step.output(stream, data);
      const exitCode = await this.#exitCode(container.id);
      step.signal.throwIfAborted();
      return { exitCode };
    } finally {
      step.signal.removeEventListener('abort', kill);
      kill();
      await starter.clear(container);
    }
  }

  async #exitCode(id: string): Promise<number> {
    const { runtime, clock } = this.#parts;
    for (let tries = 0; tries < EXIT_CODE_TRIES_MAX; tries += 1) {
      const exit = readExit(runtime.exitFolder, id);
      if (exit) return exit.code;
      await clock.sleep(1);
    }
    throw new ShoalError('INTERNAL', `nobody knows how the build step ${id.slice(0, 12)} ended`);
  }

  #container(step: Step): Container {
    const io = new ContainerIo({ stdinOnce: false });
    return new Container({ spec: this.#spec(step), run: NEW_RUN }, { io, memory: FORGETFUL });
  }

  #spec(step: Step): ContainerSpec {
    const { machine, clock, networks } = this.#parts;
    const [path = '', ...args] = step.args;
    const NetworkMode = step.network === '' || step.network === 'default' ? 'bridge' : step.network;
    const LogConfig = { Type: 'none' };
    if (this.#parts.userNamespace) checkUserNamespace({ NetworkMode });
    const record = /^container:/.test(NetworkMode) ? undefined : networks.find(NetworkMode);
    return {
      id: step.id,
      name: `build-${step.id.slice(0, 12)}`,
      createdAt: timestamp(clock.wallMs()),
      imageId: '',
      config: {
        Image: '',
        Env: step.env,
        User: step.user,
        WorkingDir: step.workdir,
        Hostname: step.id.slice(0, 12),
      },
      hostConfig: completedHostConfig({ ...step.host, NetworkMode, LogConfig }, machine),
      path,
      args,
      mounts: [],
      endpoints: record ? { [record.name]: { networkId: record.id, config: null } } : {},
    };
  }

  /** As for any container, on the folders of the step, and without telling anybody. */
  #starter({ lowers, upper, work }: Step): Starter {
    const layers = { lowers: [...lowers, this.#parts.rootfs.mountPoints], writable: { upper, work } };
    const rootfs = {
      mount: (_id: string, _image: string, target: string, users?: UserNamespace) =>
        mountOverlayAside(users ? mappedLayers(layers, users) : layers, target),
      logPath: () => '',
    };
    const parts = { ...this.#parts, rootfs, events: new EventBus(this.#parts) };
    return new Starter(parts, { bundles: new BundleWriter(parts) });
  }
}
