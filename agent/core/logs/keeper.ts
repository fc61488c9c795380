import type { Clock } from '#proto/base/clock.ts';
import type { Log } from '#proto/base/log.ts';
import type { Container } from '../container.ts';
import { type LogKeeping, logOptions } from './options.ts';
import { rotateIfLarge } from './rotation.ts';

const LOOK_EVERY_MS = 1_000;

interface Modules {
  readonly clock: Clock;
  readonly log: Log;
  readonly pathOf: (id: string) => string;
  readonly reopen: (id: string) => void;
}

/** Looks after the logs of running containers that have a size; sleeps while there are none. */
export class LogKeeper implements Disposable {
  readonly #modules: Modules;
  readonly #watched = new Map<string, LogKeeping>();
  #cancel: (() => void) | undefined;

  constructor(modules: Modules) {
    this.#modules = modules;
  }

  watch(container: Container): void {
    const keeping = logOptions(container.spec.hostConfig);
    if (keeping.bytesMax === undefined) return;
    this.#watched.set(container.id, keeping);
    this.#cancel ??= this.#lookLater();
  }

  /** The container has ended: once more, and no more. */
  finish(container: Container): void {
    const keeping = this.#watched.get(container.id);
    this.#watched.delete(container.id);
    if (keeping) this.#look(container.id, keeping);
  }

  #lookLater(): () => void {
    return this.#modules.clock.timer(LOOK_EVERY_MS, () => {
      for (const [id, keeping] of this.#watched) this.#look(id, keeping);
      this.#cancel = this.#watched.size > 0 ? this.#lookLater() : undefined;
    });
  }

  #look(id: string, keeping: LogKeeping): void {
    try {
      rotateIfLarge(this.#modules.pathOf(id), keeping, () => this.#modules.reopen(id));
    } catch (error) {
      this.#modules.log.warn('a log could not be rotated', { container: id, err: error });
    }
  }

  [Symbol.dispose](): void {
    this.#cancel?.();
  }
}
