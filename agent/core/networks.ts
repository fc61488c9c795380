import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { Random } from '#proto/base/random.ts';
import type { NodeNetwork } from '../net/node-network.ts';
import { address6Of, cidr6Of, holds6, maybeNumber6, overlaps6, subnet6Of } from '../net/plan/ipv6.ts';
import { bridgeAddress, type EngineDefaults, givenPools } from './defaults.ts';
import type { EventBus } from './events.ts';
import { randomId } from './names.ts';
import {
  checkBridge,
  checkMacvlan,
  checkParts,
  localNetwork,
  type NetworkRecord,
  type NetworkRequest,
  OPTION,
} from './network-record.ts';
import { timestamp } from './record.ts';
import type { JsonTable } from './state.ts';
import {
  defaultPools,
  formatAddress,
  formatSubnet,
  holds,
  overlaps,
  parseAddress,
  parseSubnet,
  type Subnet,
} from './subnet.ts';

const BUILT_IN = { bridge: 'bridge', host: 'host', none: 'null' } as const;

interface Modules {
  readonly table: JsonTable<unknown>;
  readonly network: Pick<NodeNetwork, 'createLocal' | 'removeLocal'>;
  readonly events: EventBus;
  readonly clock: Clock;
  readonly random: Random;
  /** CIDRs of the machine's own interfaces. */
  readonly machineSubnets: () => readonly string[];
  readonly defaults?: Pick<EngineDefaults, 'addressPools' | 'bridge' | 'mtu'>;
}

/** The networks of this machine: `bridge`, `host` and `none`, and the bridges that users make. */
export class LocalNetworks {
  readonly #modules: Modules;
  readonly #byId = new Map<string, NetworkRecord>();
  /** Networks whose bridge is there, or being made. */
  readonly #ready = new Map<string, Promise<void>>();

  constructor(modules: Modules) {
    this.#modules = modules;
    for (const record of modules.table.all() as NetworkRecord[]) this.#byId.set(record.id, record);
    for (const [name, driver] of Object.entries(BUILT_IN))
      if (!this.#named(name)) this.#builtIn(name, driver);
    this.#adaptBridge();
  }

  list(): NetworkRecord[] {
    return [...this.#byId.values()].sort((a, b) => a.name.localeCompare(b.name));
  }

  /** By id, name, or the beginning of an id that is no other's. NOT_FOUND `network X not found`. */
  find(idOrName: string): NetworkRecord {
    const exact = this.#byId.get(idOrName) ?? this.#named(idOrName);
    if (exact) return exact;
    const matches = this.list().filter(({ id }) => idOrName !== '' && id.startsWith(idOrName));
    if (matches.length > 1)
      throw new ShoalError(
        'INVALID_ARGUMENT',
        `network ${idOrName} is ambiguous (${matches.length} matches found on name)`,
      );
    if (matches[0]) return matches[0];
    throw new ShoalError('NOT_FOUND', `network ${idOrName} not found`);
  }

  isBuiltIn(name: string): boolean {
    return name in BUILT_IN;
  }

  async create(request: NetworkRequest): Promise<NetworkRecord> {
    const record = this.#recordOf(request);
    this.#byId.set(record.id, record);
    try {
      await this.ensure(record);
    } catch (error) {
      this.#byId.delete(record.id);
      throw error;
    }
    this.#modules.table.put(record.id, record);
    this.#emit('create', record);
    return record;
  }

  /** Removes a network that nobody uses; the caller knows who does. */
  async remove(idOrName: string, usedBy: (record: NetworkRecord) => boolean): Promise<NetworkRecord> {
    const record = this.find(idOrName);
    if (this.isBuiltIn(record.name))
      throw new ShoalError('FORBIDDEN', `${record.name} is a pre-defined network and cannot be removed`);
    if (usedBy(record))
      throw new ShoalError(
        'FORBIDDEN',
        `error while removing network: network ${record.name} id ${record.id} has active endpoints`,
      );
    this.#byId.delete(record.id);
    this.#modules.table.delete(record.id);
    await this.#ready.get(record.id)?.catch(() => undefined);
    this.#ready.delete(record.id);
    await this.#modules.network.removeLocal(record.id);
    this.#emit('destroy', record);
    return record;
  }

  /** Makes sure that the network is there to be joined; a bridge is made when it is first needed. */
  ensure(record: NetworkRecord): Promise<void> {
    if (record.subnet === undefined) return Promise.resolve();
    let ready = this.#ready.get(record.id);
    if (ready === undefined) {
      ready = this.#modules.network.createLocal(localNetwork(record));
      this.#ready.set(record.id, ready);
      ready.catch(() => this.#ready.delete(record.id));
    }
    return ready;
  }

  #emit(action: string, { id, name, driver }: NetworkRecord): void {
    this.#modules.events.emit('network', action, id, { name, type: driver });
  }

  #named(name: string): NetworkRecord | undefined {
    for (const record of this.#byId.values()) if (record.name === name) return record;
    return undefined;
  }

  #builtIn(name: string, driver: NetworkRecord['driver']): void {
    const record: NetworkRecord = {
      ...this.#identity(name),
      driver,
      internal: false,
      attachable: false,
      ...(driver === 'bridge' ? this.#freeSubnet() : {}),
      options: {},
      labels: {},
    };
    this.#byId.set(record.id, record);
    this.#modules.table.put(record.id, record);
  }

  /** The daemon may have been told otherwise since the network `bridge` was made. */
  #adaptBridge(): void {
    const { bridge, mtu } = this.#modules.defaults ?? {};
    const before = this.find('bridge');
    const { subnet, gateway } =
      bridge?.cidr === undefined ? before : this.#bridgeSubnet(bridge.cidr, before.id);
    const options = {
      ...(bridge?.name === undefined ? {} : { [OPTION.bridgeName]: bridge.name }),
      ...(mtu === undefined ? {} : { [OPTION.mtu]: String(mtu) }),
    };
    const record = { ...before, options, ...(subnet && gateway ? { subnet, gateway } : {}) };
    if (isDeepStrictEqual(record, before)) return;
    this.#byId.set(record.id, record);
    this.#modules.table.put(record.id, record);
  }

  #bridgeSubnet(cidr: string, id: string): { subnet: string; gateway: string } {
    const { subnet, gateway } = bridgeAddress(cidr);
    const others = this.list().filter((record) => record.id !== id);
    const taken = others.find((record) =>
      subnets(record.subnet ? [record.subnet] : []).some((own) => overlaps(own, subnet)),
    );
    if (taken) throw new ShoalError('CONFLICT', `bridge address ${cidr} overlaps with network ${taken.name}`);
    return { subnet: formatSubnet(subnet), gateway };
  }

  #identity(name: string): Pick<NetworkRecord, 'id' | 'name' | 'createdAt'> {
    return {
      id: randomId(this.#modules.random),
      name,
      createdAt: timestamp(this.#modules.clock.wallMs()),
    };
  }

  #recordOf(request: NetworkRequest): NetworkRecord {
    const { name, driver } = request;
    if (name === '') throw new ShoalError('INVALID_ARGUMENT', 'invalid network name: name is empty');
    if (this.isBuiltIn(name))
      throw new ShoalError('FORBIDDEN', `operation is not permitted on predefined ${name} network`);
    if (this.#named(name)) throw new ShoalError('CONFLICT', `network with name ${name} already exists`);
    if (driver === 'host' || driver === 'null')
      throw new ShoalError('FORBIDDEN', `only one instance of "${driver}" network is allowed`);
    if (driver !== 'bridge' && driver !== 'macvlan')
      throw new ShoalError('NOT_FOUND', `plugin "${driver}" not found`);
    if (driver === 'macvlan') checkMacvlan(request);
    else checkBridge(request);
    const { internal, attachable, options, labels, ipRange, auxiliary, ipamOptions } = request;
    checkParts(request);
    return {
      ...this.#identity(name),
      driver,
      internal,
      attachable,
      options,
      labels,
      ...(request.subnet === undefined
        ? this.#freeSubnet()
        : this.#givenSubnet(request.subnet, request.gateway)),
      ...(request.ipv6 === undefined ? {} : { ipv6: this.#ipv6Of(request.ipv6) }),
      ...(ipRange === undefined ? {} : { ipRange }),
      ...(auxiliary === undefined ? {} : { auxiliary }),
      ...(ipamOptions === undefined ? {} : { ipamOptions }),
    };
  }

  #givenSubnet(cidr: string, gateway: string | undefined): { subnet: string; gateway: string } {
    const subnet = parseSubnet(cidr);
    if (subnet === undefined)
      throw new ShoalError('INVALID_ARGUMENT', `invalid subnet ${cidr}: expected an IPv4 CIDR`);
    if (this.#used().some((other) => overlaps(other, subnet)))
      throw new ShoalError(
        'FORBIDDEN',
        'invalid pool request: Pool overlaps with other one on this address space',
      );
    const address = gateway === undefined ? subnet.base + 1 : parseAddress(gateway);
    if (address === undefined || !holds(subnet, address))
      throw new ShoalError('INVALID_ARGUMENT', `no matching subnet for gateway ${gateway ?? ''}`);
    return { subnet: formatSubnet(subnet), gateway: formatAddress(address) };
  }

  /** A prefix of its own from the range for private use (RFC 4193) where none is given. */
  #ipv6Of({ subnet: cidr, gateway }: NonNullable<NetworkRequest['ipv6']>): {
    subnet: string;
    gateway: string;
  } {
    const digits = randomId(this.#modules.random);
    const own = `fd${digits.slice(0, 2)}:${digits.slice(2, 6)}:${digits.slice(6, 10)}::/64`;
    const subnet = subnet6Of(cidr ?? own);
    const others = [...this.#byId.values()].flatMap(({ ipv6 }) => (ipv6 ? [subnet6Of(ipv6.subnet)] : []));
    if (others.some((other) => overlaps6(other, subnet)))
      throw new ShoalError(
        'FORBIDDEN',
        'invalid pool request: Pool overlaps with other one on this address space',
      );
    const address = gateway === undefined ? subnet.first + 1n : maybeNumber6(gateway);
    if (address === undefined || !holds6(subnet, address))
      throw new ShoalError('INVALID_ARGUMENT', `no matching subnet for gateway ${gateway ?? ''}`);
    return { subnet: cidr6Of(subnet), gateway: address6Of(address) };
  }

  #freeSubnet(): { subnet: string; gateway: string } {
    const used = [...this.#used(), ...subnets(this.#modules.machineSubnets())];
    for (const pool of givenPools(this.#modules.defaults ?? {}) ?? defaultPools()) {
      if (!used.some((other) => overlaps(other, pool)))
        return { subnet: formatSubnet(pool), gateway: formatAddress(pool.base + 1) };
    }
    throw new ShoalError(
      'FORBIDDEN',
      'all predefined address pools have been fully subnetted: name a subnet for the network',
    );
  }

  #used(): Subnet[] {
    return subnets([...this.#byId.values()].flatMap(({ subnet }) => (subnet === undefined ? [] : [subnet])));
  }
}

function subnets(cidrs: readonly string[]): Subnet[] {
  return cidrs.map(parseSubnet).filter((subnet) => subnet !== undefined);
}
