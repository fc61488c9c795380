import { ShoalError } from '#proto/base/errors.ts';
import type { Container } from './container.ts';
import { emitContainer } from './container-events.ts';
import type { Execs } from './execs.ts';
import type { EngineParts } from './parts.ts';

type Parts = Pick<EngineParts, 'containers' | 'events' | 'log' | 'rootfs' | 'state' | 'volumes'>;

/** Takes away containers that do not run, with everything that was theirs alone. */
export class Remover implements AsyncDisposable {
  readonly #parts: Parts;
  readonly #underway = new Set<Promise<void>>();
  readonly #execs: Pick<Execs, 'forget'>;

  constructor(parts: Parts, modules: { execs: Pick<Execs, 'forget'> }) {
    this.#parts = parts;
    this.#execs = modules.execs;
  }

  /** Also where it goes by itself meanwhile, because it has ended. */
  async remove(container: Container, volumes: boolean): Promise<void> {
    await container.lock.run(async () => {
      if (this.#parts.containers.get(container.id) !== container) return;
      if (container.isRunning)
        throw new ShoalError(
          'CONFLICT',
          `cannot remove container "${container.name}": container is running: stop the container before removing or force remove`,
        );
      await this.removeLocked(container, volumes);
    });
  }

  /** As `remove`, by whoever holds the container's lock. */
  async removeLocked(container: Container, volumes: boolean): Promise<void> {
    const { containers, events, rootfs, state } = this.#parts;
    const { id, imageId, mounts } = container.spec;
    container.noteRun({ ...container.run, status: 'removing' });
    this.#execs.forget(container);
    containers.remove(container);
    if (volumes) for (const { name, anonymous } of mounts) if (name && anonymous) this.#removeVolume(name);
    // From here on it is gone, and what is left of its files is nobody's: a crash leaves them to the next engine.
    state.deleteContainer(id);
    await state.committed();
    emitContainer(events, container, 'destroy');
    container.notifyRemoved();
    this.#inBackground(rootfs.remove(id, imageId));
  }

  #inBackground(work: Promise<void>): void {
    const noted = work
      .catch((error: unknown) =>
        this.#parts.log.error('files of a removed container are left', { err: error }),
      )
      .finally(() => this.#underway.delete(noted));
    this.#underway.add(noted);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#underway);
  }

  /** Another container may have taken it over (volumes-from): then it stays. */
  #removeVolume(name: string): void {
    const { volumes, log } = this.#parts;
    try {
      if (volumes.users(name).length === 0) volumes.remove(name, true);
    } catch (error) {
      log.warn('an anonymous volume could not be removed', { volume: name, err: error });
    }
  }
}
