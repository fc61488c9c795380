import type { StoredImage } from '../image/image-table.ts';

/** A stage that is done: its image, or nothing for one that began with nothing and added nothing. */
export interface DoneStage {
  readonly image: StoredImage | undefined;
}

/** What the stages of a build have led to, by name and in order. */
export class Stages {
  readonly #done: (DoneStage & { readonly name: string | undefined })[] = [];

  /** Throws an Error when a stage has that name already. */
  checkNameFree(name: string | undefined): void {
    if (name !== undefined && this.byName(name)) throw new Error(`${name} stage name already used`);
  }

  add(name: string | undefined, image: StoredImage | undefined): void {
    this.#done.push({ name, image });
  }

  byName(name: string): DoneStage | undefined {
    return this.#done.find((stage) => stage.name !== undefined && stage.name === name.toLowerCase());
  }

  /** By name, or by number. Undefined for what is no stage; throws an Error for a number that is too high. */
  find(nameOrIndex: string): DoneStage | undefined {
    const named = this.byName(nameOrIndex);
    if (named || !/^\d+$/.test(nameOrIndex)) return named;
    const index = Number(nameOrIndex);
    if (index === this.#done.length) throw new Error('refers to current build stage');
    if (index > this.#done.length) throw new Error('index out of bounds');
    return this.#done[index];
  }
}
