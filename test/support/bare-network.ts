import { closeSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { unmountIfMounted } from '#agent/core/linux/mounts.ts';
import {
  inNetworkNamespace,
  inNewNetworkNamespace,
  ioctl,
  MS,
  mount,
  rawSocket,
} from '#agent/core/linux/sys.ts';
import type { NodeNetwork, Sandbox, SandboxRequest } from '#agent/net/node-network.ts';

/**
 * A data plane for tests of the engine: every sandbox is a network namespace with a loopback and nothing else, with
 * made-up addresses. `opened` tells what is there.
 */
export class BareNetwork implements NodeNetwork {
  readonly opened = new Map<string, Sandbox>();
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  async recover(sandboxes: readonly Sandbox[]): Promise<void> {
    for (const sandbox of sandboxes) this.opened.set(sandbox.containerId, sandbox);
    for (const id of readdirSync(this.#folder)) if (!this.opened.has(id)) await this.closeSandbox(id);
  }

  async openSandbox(request: SandboxRequest): Promise<Sandbox> {
    const netnsPath = join(this.#folder, request.containerId);
    closeSync(openSync(netnsPath, 'w'));
    if (request.namespace !== undefined) mount(request.namespace, netnsPath, '', MS.BIND);
    else inNewNetworkNamespace(() => mount('/proc/thread-self/ns/net', netnsPath, '', MS.BIND));
    inNetworkNamespace(netnsPath, raiseLoopback);
    const attachments = request.attachments.map(({ networkId, address, mac }, index) => ({
      networkId,
      address: `${address ?? `10.99.${index}.${(this.opened.size % 250) + 2}`}/24`,
      gateway: `10.99.${index}.1`,
      mac: mac ?? '02:42:0a:63:00:02',
    }));
    const ports = request.ports.map((port, index) => ({
      ...port,
      hostPort: port.hostPort || 49_000 + index,
    }));
    const sandbox = { containerId: request.containerId, netnsPath, attachments, ports };
    this.opened.set(request.containerId, sandbox);
    return sandbox;
  }

  async closeSandbox(containerId: string): Promise<void> {
    const path = join(this.#folder, containerId);
    unmountIfMounted(path);
    rmSync(path, { force: true });
    this.opened.delete(containerId);
  }

  async attach(_containerId: string, { networkId, address }: SandboxRequest['attachments'][number]) {
    return {
      networkId,
      address: `${address ?? '10.98.0.2'}/24`,
      gateway: '10.98.0.1',
      mac: '02:42:0a:62:00:02',
    };
  }

  async applyCluster(): Promise<void> {}
  async createLocal(): Promise<void> {}
  async removeLocal(): Promise<void> {}
  async detach(): Promise<void> {}
  async forgetFlows(): Promise<void> {}

  inboundConnections(): number {
    return 0;
  }

  listens(): boolean {
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP_RUNNING = 0x41;

function raiseLoopback(): void {
  const fd = rawSocket.open(AF_INET, SOCK_DGRAM, 0);
  const request = Buffer.alloc(40);
  request.write('lo', 0);
  request.writeUInt16LE(IFF_UP_RUNNING, 16);
  try {
    ioctl(fd, SIOCSIFFLAGS, request);
  } finally {
    closeSync(fd);
  }
}
