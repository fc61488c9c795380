import { down, up } from '#deploy/local/cluster.ts';
import type { Engine } from './engine.ts';

/** Part of the names of all it makes. */
const CLUSTER = 'bench';

/** A cluster of one node, as `shoal up` makes them. */
export class ShoalEngine implements Engine {
  readonly name = 'shoal';
  #socket: string | undefined;

  get socket(): string {
    if (this.#socket === undefined) throw new Error('shoal has not been started');
    return this.#socket;
  }

  async start(): Promise<void> {
    await down(CLUSTER);
    const cluster = await up({ name: CLUSTER, managers: 1, workers: 0 });
    this.#socket = cluster.nodes[0]?.socket;
  }

  async stop(): Promise<void> {
    await down(CLUSTER);
  }
}
