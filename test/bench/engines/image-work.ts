import { EngineClient } from '#deploy/cli/engine-client.ts';
import { API_VERSION } from './engine.ts';

interface Line {
  readonly error?: string;
  readonly stream?: string;
}

/** Pulls and builds of one engine through its API, and how long they take: milliseconds from just before the request. */
export class ImageWork {
  readonly #client: EngineClient;
  readonly #signal: AbortSignal;

  constructor(socket: string, signal: AbortSignal) {
    this.#client = new EngineClient(`unix://${socket}`, API_VERSION);
    this.#signal = signal;
  }

  /** `fromImage` with its tag. */
  async pull(fromImage: string): Promise<number> {
    return await this.#timed('/images/create', { query: { fromImage }, signal: this.#signal });
  }

  /** Builds a context, an archive; `query` as the classic builder takes it. */
  async build(context: Uint8Array, query: Readonly<Record<string, string>>): Promise<number> {
    const content = { type: 'application/x-tar', data: context };
    return await this.#timed('/build', { query, content, signal: this.#signal });
  }

  async #timed(path: string, opts: object): Promise<number> {
    const startedAtMs = performance.now();
    for await (const { error } of this.#client.lines<Line>('POST', path, opts)) {
      if (error !== undefined) throw new Error(`${path}: ${error}`);
    }
    return performance.now() - startedAtMs;
  }

  /** An image with all that only it had. */
  async remove(image: string): Promise<void> {
    await this.#client.call('DELETE', `/images/${image}`, { query: { force: '1' }, signal: this.#signal });
  }
}
