import { ShoalError } from '#proto/base/errors.ts';
import type { Container } from './container.ts';

/** All containers of the engine, and the names that are taken. */
export class ContainerSet {
  readonly #byId = new Map<string, Container>();
  /** Also names of containers that are still being made. */
  readonly #idByName = new Map<string, string>();

  get size(): number {
    return this.#byId.size;
  }

  all(): Container[] {
    return [...this.#byId.values()];
  }

  hasName(name: string): boolean {
    return this.#idByName.has(name);
  }

  /** CONFLICT with Docker's words when another container has the name. */
  reserve(name: string, id: string): void {
    const owner = this.#idByName.get(name);
    if (owner !== undefined)
      throw new ShoalError(
        'CONFLICT',
        `Conflict. The container name "/${name}" is already in use by container "${owner}". You have to remove (or rename) that container to be able to reuse that name.`,
      );
    this.#idByName.set(name, id);
  }

  releaseName(name: string): void {
    this.#idByName.delete(name);
  }

  add(container: Container): void {
    this.#byId.set(container.id, container);
    this.#idByName.set(container.name, container.id);
  }

  remove(container: Container): void {
    this.#byId.delete(container.id);
    if (this.#idByName.get(container.name) === container.id) this.#idByName.delete(container.name);
  }

  get(id: string): Container | undefined {
    return this.#byId.get(id);
  }

  /** By id, name, or the beginning of an id that is no other's. NOT_FOUND `No such container: X`. */
  find(idOrName: string): Container {
    const name = idOrName.startsWith('/') ? idOrName.slice(1) : idOrName;
    const exact = this.#byId.get(idOrName) ?? this.#byId.get(this.#idByName.get(name) ?? '');
    return exact ?? this.#byPrefix(idOrName);
  }

  #byPrefix(prefix: string): Container {
    const matches = /^[0-9a-f]+$/.test(prefix) ? this.all().filter(({ id }) => id.startsWith(prefix)) : [];
    if (matches.length > 1)
      throw new ShoalError('INVALID_ARGUMENT', `Multiple IDs found with provided prefix: ${prefix}`);
    if (matches[0]) return matches[0];
    throw new ShoalError('NOT_FOUND', `No such container: ${prefix}`);
  }
}
