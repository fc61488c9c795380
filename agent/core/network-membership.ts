import { ShoalError } from '#proto/base/errors.ts';
import type { AttachmentInfo } from '../net/node-network.ts';
import type { BundleWriter } from './bundle.ts';
import type { Container } from './container.ts';
import type { EndpointConfig } from './container-types.ts';
import { linkNames } from './links.ts';
import type { NetworkRecord } from './network-record.ts';
import type { EngineParts } from './parts.ts';

type Parts = Pick<EngineParts, 'containers' | 'events' | 'net' | 'networks'>;

/** Which containers are on which networks of this machine: `docker network connect` and `disconnect`. */
export class NetworkMembership {
  readonly #parts: Parts;
  readonly #bundles: Pick<BundleWriter, 'writeEtcFiles'>;

  constructor(parts: Parts, modules: { bundles: Pick<BundleWriter, 'writeEtcFiles'> }) {
    this.#parts = parts;
    this.#bundles = modules.bundles;
  }

  /** The containers that have an address on a network now. */
  members(networkId: string): { container: Container; attachment: AttachmentInfo }[] {
    return this.#parts.containers.all().flatMap((container) => {
      const attachments = container.run.sandbox?.attachments ?? [];
      return attachments
        .filter((attachment) => attachment.networkId === networkId)
        .map((attachment) => ({ container, attachment }));
    });
  }

  async connect(network: NetworkRecord, idOrName: string, config: EndpointConfig | null): Promise<void> {
    const container = this.#parts.containers.find(idOrName);
    await container.lock.run(async () => {
      mayChangeNetworks(container, network, 'connect to');
      if (container.spec.endpoints[network.name])
        throw new ShoalError(
          'FORBIDDEN',
          `endpoint with name ${container.name} already exists in network ${network.name}`,
        );
      if (container.hasProcess) await this.#attach(container, network, config);
      const endpoints = { ...container.spec.endpoints, [network.name]: { networkId: network.id, config } };
      container.updateSpec({ endpoints });
      this.#emit('connect', network, container);
    });
  }

  async #attach(container: Container, network: NetworkRecord, config: EndpointConfig | null): Promise<void> {
    const { net, networks } = this.#parts;
    await networks.ensure(network);
    const address = config?.IPAMConfig?.IPv4Address;
    const attachment = await net.attach(container.id, {
      networkId: network.id,
      aliases: config?.Aliases ?? [],
      links: linkNames(config?.Links),
      ...(address ? { address } : {}),
      ...(config?.IPAMConfig?.IPv6Address ? { address6: config.IPAMConfig.IPv6Address } : {}),
      ...(config?.MacAddress ? { mac: config.MacAddress } : {}),
    });
    const { sandbox } = container.run;
    if (sandbox === undefined) return;
    const changed = { ...sandbox, attachments: [...sandbox.attachments, attachment] };
    container.updateRun({ sandbox: changed });
    this.#bundles.writeEtcFiles(container.spec, changed);
  }

  async disconnect(network: NetworkRecord, idOrName: string, force: boolean): Promise<void> {
    const container = this.#parts.containers.find(idOrName);
    await container.lock.run(async () => {
      mayChangeNetworks(container, network, 'disconnect from');
      if (!container.spec.endpoints[network.name]) {
        if (force) return;
        throw new ShoalError(
          'INTERNAL',
          `container ${container.id} is not connected to network ${network.name}`,
        );
      }
      if (container.hasProcess) await this.#detach(container, network);
      const { [network.name]: _left, ...endpoints } = container.spec.endpoints;
      container.updateSpec({ endpoints });
      this.#emit('disconnect', network, container);
    });
  }

  async #detach(container: Container, network: NetworkRecord): Promise<void> {
    await this.#parts.net.detach(container.id, network.id);
    const { sandbox } = container.run;
    if (sandbox === undefined) return;
    const attachments = sandbox.attachments.filter(({ networkId }) => networkId !== network.id);
    container.updateRun({ sandbox: { ...sandbox, attachments } });
    this.#bundles.writeEtcFiles(container.spec, { ...sandbox, attachments });
  }

  #emit(action: string, { id, name, driver }: NetworkRecord, container: Container): void {
    this.#parts.events.emit('network', action, id, { container: container.id, name, type: driver });
  }
}

/** FORBIDDEN where a container's network was decided once and for all. */
function mayChangeNetworks(container: Container, network: NetworkRecord, verb: string): void {
  const mode = container.spec.hostConfig.NetworkMode ?? '';
  if (mode.startsWith('container:') || (mode === 'host' && network.driver !== 'host'))
    throw new ShoalError(
      'FORBIDDEN',
      'container sharing network namespace with another container or host cannot be connected to any other network',
    );
  if (mode === 'host' || network.driver === 'host')
    throw new ShoalError(
      'FORBIDDEN',
      'container cannot be disconnected from host network or connected to host network',
    );
  if (network.driver === 'null' || (mode === 'none' && verb === 'connect to'))
    throw new ShoalError(
      'FORBIDDEN',
      'container cannot be connected to multiple networks with one of the networks in private (none) mode',
    );
}
