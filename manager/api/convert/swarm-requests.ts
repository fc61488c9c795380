import { isIPv4 } from 'node:net';
import { ShoalError } from '#proto/base/errors.ts';
import type { NodeAvailability } from '#proto/types/states.ts';
import { SWARM_DEFAULTS } from '../../control/cluster-defaults.ts';
import { count, decodeBody, flag, object, text, texts, word } from './fields.ts';
import { flat, type SwarmSpecRequest, swarmSpec, type WireSpec } from './swarm-spec.ts';

const availability = word<NodeAvailability>(
  ['active', 'pause', 'drain'],
  (given) => `invalid Availability: "${given}"`,
);

/** What a node is told about itself when it makes or joins a swarm. Addresses are as the user wrote them. */
export interface Addresses {
  /** Where to listen for other nodes: address:port, or an interface. */
  readonly listenAddr: string;
  /** How others are to reach it: address, address:port or interface; absent: found out. */
  readonly advertiseAddr?: string;
  readonly dataPathAddr?: string;
}

export interface InitRequest extends Addresses {
  readonly forceNewCluster: boolean;
  readonly availability: NodeAvailability;
  readonly addressPools: readonly string[];
  readonly subnetBits: number;
  readonly dataPathPort: number;
  readonly spec: SwarmSpecRequest;
}

export interface JoinRequest extends Addresses {
  /** Managers to turn to, host:port. */
  readonly remoteAddrs: readonly string[];
  readonly joinToken: string;
  readonly availability: NodeAvailability;
}

export interface RestoreRequest extends Addresses {
  readonly availability: NodeAvailability;
}

/** The query of POST /shoal/restore, checked; its names are those of the body of POST /swarm/init. */
export function restoreRequest(query: URLSearchParams): RestoreRequest {
  const wire = decodeBody(wireRestore, Object.fromEntries(query));
  return { ...addressesOf(wire), availability: wire.availability ?? 'active' };
}

interface WireInit {
  readonly listenAddr?: string;
  readonly advertiseAddr?: string;
  readonly dataPathAddr?: string;
  readonly dataPathPort?: number;
  readonly addressPools?: readonly string[];
  readonly subnetBits?: number;
  readonly forceNewCluster?: boolean;
  readonly spec?: WireSpec;
  readonly autoLockManagers?: boolean;
  readonly availability?: NodeAvailability;
}

const wireInit = object<WireInit>({
  listenAddr: ['ListenAddr', text],
  advertiseAddr: ['AdvertiseAddr', text],
  dataPathAddr: ['DataPathAddr', text],
  dataPathPort: ['DataPathPort', count],
  addressPools: ['DefaultAddrPool', texts],
  subnetBits: ['SubnetSize', count],
  forceNewCluster: ['ForceNewCluster', flag],
  spec: ['Spec', swarmSpec],
  autoLockManagers: ['AutoLockManagers', flag],
  availability: ['Availability', availability],
});

const wireRestore = object<Partial<RestoreRequest>>({
  listenAddr: ['ListenAddr', text],
  advertiseAddr: ['AdvertiseAddr', text],
  dataPathAddr: ['DataPathAddr', text],
  availability: ['Availability', availability],
});

/** The body of POST /swarm/init, checked. */
export function initRequest(body: unknown): InitRequest {
  const wire = decodeBody(wireInit, body);
  const spec = flat(wire.spec ?? {});
  return {
    ...addressesOf(wire),
    forceNewCluster: wire.forceNewCluster ?? false,
    availability: wire.availability ?? 'active',
    addressPools: checkedPools(wire.addressPools ?? SWARM_DEFAULTS.addressPools),
    subnetBits: checkedSubnetBits(wire.subnetBits ?? SWARM_DEFAULTS.subnetBits),
    dataPathPort: checkedDataPathPort(wire.dataPathPort ?? SWARM_DEFAULTS.dataPathPort),
    spec: wire.autoLockManagers ? { ...spec, autoLockManagers: true } : spec,
  };
}

interface WireJoin {
  readonly listenAddr?: string;
  readonly advertiseAddr?: string;
  readonly dataPathAddr?: string;
  readonly remoteAddrs?: readonly string[];
  readonly joinToken?: string;
  readonly availability?: NodeAvailability;
}

const wireJoin = object<WireJoin>({
  listenAddr: ['ListenAddr', text],
  advertiseAddr: ['AdvertiseAddr', text],
  dataPathAddr: ['DataPathAddr', text],
  remoteAddrs: ['RemoteAddrs', texts],
  joinToken: ['JoinToken', text],
  availability: ['Availability', availability],
});

/** The body of POST /swarm/join, checked. */
export function joinRequest(body: unknown): JoinRequest {
  const wire = decodeBody(wireJoin, body);
  const { remoteAddrs = [], joinToken: token = '' } = wire;
  if (remoteAddrs.length === 0)
    throw new ShoalError('INVALID_ARGUMENT', 'at least 1 RemoteAddr is required to join');
  return {
    ...addressesOf(wire),
    remoteAddrs,
    joinToken: token,
    availability: wire.availability ?? 'active',
  };
}

function addressesOf({ listenAddr, advertiseAddr, dataPathAddr }: Partial<Addresses>): Addresses {
  return {
    listenAddr: listenAddr ?? SWARM_DEFAULTS.listenAddr,
    ...(advertiseAddr !== undefined && { advertiseAddr }),
    ...(dataPathAddr !== undefined && { dataPathAddr }),
  };
}

const DATA_PATH_PORT_MIN = 1024;
const DATA_PATH_PORT_MAX = 49_151;

function checkedDataPathPort(port: number): number {
  if (port >= DATA_PATH_PORT_MIN && port <= DATA_PATH_PORT_MAX) return port;
  throw new ShoalError(
    'INVALID_ARGUMENT',
    `data path port must be in the range of ${DATA_PATH_PORT_MIN} to ${DATA_PATH_PORT_MAX}`,
  );
}

const SUBNET_BITS_MAX = 29;

function checkedSubnetBits(bits: number): number {
  if (bits <= SUBNET_BITS_MAX) return bits;
  throw new ShoalError('INVALID_ARGUMENT', `subnet size should be less than or equal to ${SUBNET_BITS_MAX}`);
}

function checkedPools(pools: readonly string[]): readonly string[] {
  const broken = pools.find((pool) => !isPool(pool));
  if (broken === undefined) return pools;
  throw new ShoalError('INVALID_ARGUMENT', `Invalid default address pool ${broken}: expected an IPv4 subnet`);
}

function isPool(pool: string): boolean {
  const [address = '', bits = ''] = pool.split('/');
  return isIPv4(address) && /^\d{1,2}$/.test(bits) && Number(bits) <= 32;
}
