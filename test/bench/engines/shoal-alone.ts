import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LoneDaemon } from '../../support/lone-daemon.ts';
import { enterControlGroup } from './accounting.ts';
import { API_VERSION, type Engine } from './engine.ts';

/** One daemon that is in no swarm. */
export class ShoalAlone implements Engine {
  readonly name = 'shoal';
  readonly #daemon = new LoneDaemon('benchc', API_VERSION);

  get folder(): string {
    return this.#daemon.folder;
  }

  get socket(): string {
    return this.#daemon.socket;
  }

  /** Of its network. */
  get namespace(): string {
    return this.#daemon.namespace;
  }

  /** All that the daemon starts is in it, so that what it costs can be read there. */
  get controlGroup(): string {
    return this.#daemon.controlGroup;
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#daemon.up(signal);
    await enterControlGroup(join(this.controlGroup, 'daemon'), this.#daemon.pid);
  }

  stop(): Promise<void> {
    return this.#daemon.down();
  }

  /** What crun was told of a container that runs. */
  async configOf(id: string): Promise<object> {
    return JSON.parse(await readFile(join(this.folder, 'run/engine/c', id, 'config.json'), 'utf8')) as object;
  }

  /** The runtime's program where it can't be written to, as the daemon runs it. */
  get crun(): string {
    return join(this.folder, 'run/engine/crun.bin');
  }
}
