import { EngineClient } from '#deploy/cli/engine-client.ts';
import type { Sample, Subject } from '../subject.ts';
import { API_VERSION, type Engine } from './engine.ts';
import { imageRoot, importImage } from './image.ts';

/** What a slice does with an engine that answers on `socket`. */
export type Slice = (socket: string, signal: AbortSignal) => Promise<readonly Sample[]>;

/** An engine as one side of a comparison: it has the image, and slices are done through its API. */
export class EngineSubject implements Subject {
  readonly name: string;
  readonly #engine: Engine;
  readonly #slices: Readonly<Record<string, Slice>>;

  constructor(engine: Engine, slices: Readonly<Record<string, Slice>>) {
    this.name = engine.name;
    this.#engine = engine;
    this.#slices = slices;
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#engine.start(signal);
    await importImage(new EngineClient(`unix://${this.#engine.socket}`, API_VERSION), await imageRoot());
  }

  stop(): Promise<void> {
    return this.#engine.stop();
  }

  measure(slice: string, signal: AbortSignal): Promise<readonly Sample[]> {
    const work = this.#slices[slice];
    if (work === undefined)
      throw new Error(`there is no slice ${slice}: ${Object.keys(this.#slices).join(', ')}`);
    return work(this.#engine.socket, signal);
  }
}
