import type { Clock } from '#proto/base/clock.ts';
import { codeOf, messageOf, ShoalError } from '#proto/base/errors.ts';
import { LIMITS } from '#proto/base/limits.ts';
import { STOP_GRACE_DEFAULT_NS } from '#proto/types/defaults.ts';
import type { PortConfig } from '#proto/types/specs.ts';
import type { ContainerSummary, Containers, Images } from '../../core/engine.ts';
import type { NodeNetwork } from '../../net/node-network.ts';
import {
  type RunInfo,
  type TaskContext,
  type TaskController,
  type TaskExit,
  TemporaryError,
} from '../executor.ts';
import { containerOf, TASK_LABEL } from './spec.ts';

/** How often a starting task is asked whether it listens, and a leaving one whether somebody is still connected. */
const POLL_MS = 20;
/** Answers to datagrams may still be on their way when the flows have been forgotten. */
const UDP_ANSWERS_MS = 150;

export interface ContainerControllerModules {
  readonly clock: Clock;
  readonly containers: Containers;
  readonly images: Images;
  readonly network: Pick<NodeNetwork, 'listens' | 'inboundConnections' | 'forgetFlows'>;
}

/** Runs a task as a container of the core. Finds its container by label, so that a new daemon goes on with it. */
export class ContainerController implements TaskController {
  readonly #context: TaskContext;
  readonly #modules: ContainerControllerModules;

  constructor(context: TaskContext, modules: ContainerControllerModules) {
    this.#context = context;
    this.#modules = modules;
  }

  async prepare(signal: AbortSignal): Promise<void> {
    if (this.#container() !== undefined) return;
    const { images, containers } = this.#modules;
    const { image, registryAuth } = this.#context.revision.task.container;
    await imageThere(image, images.ensure(image, registryAuth, signal));
    const { name, request, extras } = containerOf(this.#context);
    await containers.create(name, request, extras);
  }

  async start(signal: AbortSignal): Promise<void> {
    const { id } = this.#mustHave();
    await ignoring('NOT_MODIFIED', this.#modules.containers.start(id));
    await this.#modules.containers.healthy(id, signal);
    await this.#listening(id, signal);
  }

  /** A task that others will be sent to is ready when it listens; one that never does is taken at its word in the end. */
  async #listening(id: string, signal: AbortSignal): Promise<void> {
    const { clock, containers, network } = this.#modules;
    const ports = this.#ports();
    const untilMs = clock.monotonicMs() + LIMITS.listenWaitMsMax;
    while (ports.length > 0 && clock.monotonicMs() < untilMs) {
      const { state } = containers.summary(id);
      if (!state.Running || network.listens(state.Pid, ports)) return;
      await clock.sleep(POLL_MS, signal);
    }
  }

  async wait(signal: AbortSignal): Promise<TaskExit> {
    const { id } = this.#mustHave();
    const ended = new AbortController();
    const watching = AbortSignal.any([signal, ended.signal]);
    try {
      return await Promise.race([this.#exit(id, watching), this.#unhealthy(id, watching)]);
    } finally {
      ended.abort();
    }
  }

  async #exit(id: string, signal: AbortSignal): Promise<TaskExit> {
    const exit = await this.#modules.containers.wait(id, 'not-running', signal);
    const error = exit.oomKilled ? 'container was killed: out of memory' : exit.error;
    return { code: exit.exitCode, ...(error ? { error } : {}) };
  }

  async #unhealthy(id: string, signal: AbortSignal): Promise<TaskExit> {
    try {
      await this.#modules.containers.becameUnhealthy(id, signal);
    } catch {
      return new Promise(() => undefined);
    }
    await ignoring('NOT_MODIFIED', this.#modules.containers.stop(id, { graceMs: this.#graceMs() }));
    return { code: this.#modules.containers.summary(id).state.ExitCode, error: 'unhealthy container' };
  }

  async drain(signal: AbortSignal): Promise<void> {
    const container = this.#container();
    if (container === undefined || !container.state.Running || this.#ports().length === 0) return;
    await this.#connectionsGone(container, signal);
    await this.#modules.network.forgetFlows(container.id, 'udp');
    if (this.#ports().some(({ protocol }) => protocol === 'udp'))
      await this.#modules.clock.sleep(UDP_ANSWERS_MS, signal);
  }

  async #connectionsGone({ id, state }: ContainerSummary, signal: AbortSignal): Promise<void> {
    const { clock, network } = this.#modules;
    const untilMs = clock.monotonicMs() + LIMITS.drainMsMax;
    while (clock.monotonicMs() < untilMs) {
      if (network.inboundConnections(id, state.Pid, this.#ports()) === 0) return;
      await clock.sleep(POLL_MS, signal);
    }
  }

  async shutdown(_signal: AbortSignal): Promise<void> {
    const container = this.#container();
    if (container === undefined) return;
    const stopped = this.#modules.containers.stop(container.id, { graceMs: this.#graceMs() });
    await ignoring('NOT_MODIFIED', ignoring('NOT_FOUND', stopped));
    await this.#modules.network.forgetFlows(container.id, 'tcp');
  }

  async remove(_signal: AbortSignal): Promise<void> {
    const container = this.#container();
    if (container === undefined) return;
    await ignoring(
      'NOT_FOUND',
      this.#modules.containers.remove(container.id, { force: true, volumes: true }),
    );
  }

  info(): RunInfo {
    const container = this.#container();
    if (container === undefined) return {};
    const { state, meshAddr } = container;
    // One whose start failed was never more than created, but has an exit code that says why.
    const ran = state.Status !== 'created' || state.ExitCode !== 0;
    return {
      container: {
        id: container.id,
        ...(state.Pid === 0 ? {} : { pid: state.Pid }),
        ...(ran && !state.Running ? { exitCode: state.ExitCode } : {}),
      },
      ...(meshAddr === undefined ? {} : { meshAddr }),
      ...this.#hostPorts(container),
    };
  }

  #hostPorts({ ports }: ContainerSummary): Pick<RunInfo, 'ports'> {
    if (ports.length === 0) return {};
    return {
      ports: ports.map(({ protocol, containerPort, hostPort }) => ({
        protocol,
        targetPort: containerPort,
        publishedPort: hostPort,
        publishMode: 'host',
      })),
    };
  }

  #ports(): readonly PortConfig[] {
    return this.#context.revision.ports ?? [];
  }

  #graceMs(): number {
    return (this.#context.revision.task.container.stopGracePeriodNs ?? STOP_GRACE_DEFAULT_NS) / 1_000_000;
  }

  #container(): ContainerSummary | undefined {
    return this.#modules.containers.withLabel(TASK_LABEL, this.#context.task.id)[0];
  }

  #mustHave(): ContainerSummary {
    const container = this.#container();
    if (container === undefined)
      throw new Error(`the container of task ${this.#context.task.id} was removed`);
    return container;
  }
}

async function ignoring(code: ReturnType<typeof codeOf>, work: Promise<void>): Promise<void> {
  await work.catch((error: unknown) => {
    if (codeOf(error) !== code) throw error;
  });
}

/** A registry or peer that does not answer now may answer soon; what nobody has is said as Docker says it. */
async function imageThere(image: string, work: Promise<void>): Promise<void> {
  await work.catch((error: unknown) => {
    const code = codeOf(error);
    const message = `No such image: ${image}: ${messageOf(error)}`;
    if (code === 'UNAVAILABLE') throw new TemporaryError(message, { cause: error });
    throw code === 'NOT_FOUND' ? new ShoalError('NOT_FOUND', message, { cause: error }) : error;
  });
}
