import type { Log } from '#proto/base/log.ts';
import type { NodeNetwork } from '../net/node-network.ts';

export interface SandboxCloserModules {
  readonly net: Pick<NodeNetwork, 'closeSandbox'>;
  readonly log: Log;
}

/**
 * Takes down the networks of containers that have ended. The kernel lets tens of milliseconds pass until a link is gone:
 * nobody waits for that but the same container's next start. Addresses and ports are free as soon as it has begun.
 */
export class SandboxCloser implements AsyncDisposable {
  readonly #modules: SandboxCloserModules;
  readonly #closing = new Map<string, Promise<void>>();

  constructor(modules: SandboxCloserModules) {
    this.#modules = modules;
  }

  begin(containerId: string): void {
    const { net, log } = this.#modules;
    const closing = net
      .closeSandbox(containerId)
      .catch((error: unknown) => {
        log.error('a container left something behind', {
          container: containerId,
          what: 'network',
          err: error,
        });
      })
      .finally(() => {
        if (this.#closing.get(containerId) === closing) this.#closing.delete(containerId);
      });
    this.#closing.set(containerId, closing);
  }

  /** Resolves when nothing of the container's last network is left. */
  async closed(containerId: string): Promise<void> {
    await this.#closing.get(containerId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#closing.values());
  }
}
