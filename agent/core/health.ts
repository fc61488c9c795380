import type { Clock } from '#proto/base/clock.ts';
import { messageOf } from '#proto/base/errors.ts';
import type { Container } from './container.ts';
import { emitContainer } from './container-events.ts';
import { goDuration } from './durations.ts';
import type { EventBus } from './events.ts';
import type { Execs } from './execs.ts';
import {
  type HealthCheck,
  type HealthResult,
  healthCheckOf,
  nextCheckMs,
  nextHealth,
  STARTING,
} from './health-state.ts';
import { timestamp } from './record.ts';

const OUTPUT_BYTES_MAX = 4096;
const TIMED_OUT = -1;

interface Modules {
  readonly clock: Clock;
  readonly events: EventBus;
  readonly execs: Pick<Execs, 'probe'>;
}

/** Asks a running container again and again how it is. The returned function ends it. */
export function watchHealth(container: Container, modules: Modules): (() => void) | undefined {
  const { config, startedAtMs } = {
    config: container.spec.config,
    startedAtMs: Date.parse(container.run.startedAt),
  };
  const check = healthCheckOf(config.Healthcheck, config.Shell);
  if (check === undefined) return undefined;
  if (container.run.health === undefined) container.updateRun({ health: STARTING });
  const ending = new AbortController();
  const watch = new Watch(container, check, startedAtMs, modules, ending.signal);
  watch.askLater();
  return () => ending.abort(new Error('the container has ended'));
}

class Watch {
  readonly #container: Container;
  readonly #check: HealthCheck;
  readonly #startedAtMs: number;
  readonly #modules: Modules;
  readonly #signal: AbortSignal;

  constructor(
    container: Container,
    check: HealthCheck,
    startedAtMs: number,
    modules: Modules,
    signal: AbortSignal,
  ) {
    this.#container = container;
    this.#check = check;
    this.#startedAtMs = startedAtMs;
    this.#modules = modules;
    this.#signal = signal;
  }

  get #sinceStartMs(): number {
    return this.#modules.clock.wallMs() - this.#startedAtMs;
  }

  askLater(): void {
    const delayMs = nextCheckMs(this.#container.run.health ?? STARTING, this.#check, this.#sinceStartMs);
    const cancel = this.#modules.clock.timer(delayMs, () => {
      this.#signal.removeEventListener('abort', cancel);
      void this.#ask();
    });
    this.#signal.addEventListener('abort', cancel, { once: true });
  }

  async #ask(): Promise<void> {
    const paused = this.#container.run.status === 'paused';
    const result = paused ? undefined : await this.#result();
    if (this.#signal.aborted || !this.#container.hasProcess) return;
    if (result) this.#note(result);
    this.askLater();
  }

  async #result(): Promise<HealthResult> {
    const { clock, execs } = this.#modules;
    const { command, timeoutMs } = this.#check;
    const Start = timestamp(clock.wallMs());
    const timeout = new AbortController();
    const cancel = clock.timer(timeoutMs, () => timeout.abort());
    try {
      const signal = AbortSignal.any([timeout.signal, this.#signal]);
      const { exitCode, output } = await execs.probe(this.#container, command, OUTPUT_BYTES_MAX, signal);
      const End = timestamp(clock.wallMs());
      if (!timeout.signal.aborted) return { Start, End, ExitCode: exitCode, Output: output };
      return {
        Start,
        End,
        ExitCode: TIMED_OUT,
        Output: `Health check exceeded timeout (${goDuration(timeoutMs)})${output === '' ? '' : `: ${output}`}`,
      };
    } catch (error) {
      return { Start, End: timestamp(clock.wallMs()), ExitCode: TIMED_OUT, Output: messageOf(error) };
    } finally {
      cancel();
    }
  }

  #note(result: HealthResult): void {
    const before = this.#container.run.health ?? STARTING;
    const health = nextHealth(before, result, this.#check, this.#sinceStartMs);
    this.#container.updateRun({ health });
    if (health.Status !== before.Status)
      emitContainer(this.#modules.events, this.#container, `health_status: ${health.Status}`);
  }
}
