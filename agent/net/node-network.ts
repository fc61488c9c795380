import type { NetworkState } from '#proto/types/assignments.ts';
import type { PortConfig } from '#proto/types/specs.ts';

/** A network of this machine alone, as the engine keeps it. */
export interface LocalNetwork {
  readonly id: string;
  readonly name: string;
  readonly driver: 'bridge' | 'macvlan' | 'host' | 'null';
  /** CIDR and gateway; absent for host and null. */
  readonly subnet?: string;
  readonly gateway?: string;
  /** Part of the subnet that addresses are chosen from; all of it when absent. */
  readonly ipRange?: string;
  /** Addresses that are never chosen. */
  readonly reserved?: readonly string[];
  /** CIDR and gateway. */
  readonly ipv6?: { readonly subnet: string; readonly gateway: string };
  /**
   * Device of the node that the containers' own are on, and their mode. `eth0.10`, where there is none of that name, is
   * made: the VLAN 10 of `eth0`.
   */
  readonly macvlan?: { readonly parent: string; readonly mode: string };
  readonly internal: boolean;
  /** Its containers can't reach each other. */
  readonly apart?: true;
  /** Its containers go out with their own addresses. */
  readonly routed?: true;
  /** Where ports are published when nobody says; every address when absent. */
  readonly hostIp?: string;
  readonly mtu?: number;
  /** Name of the bridge device; derived from the id when absent. */
  readonly bridgeName?: string;
}

/** One network that a container is to be on. */
export interface AttachmentRequest {
  /** Id of a local network, or of an overlay network of the cluster. */
  readonly networkId: string;
  /** Address without prefix; a free one of the subnet when absent (local networks only). */
  readonly address?: string;
  readonly address6?: string;
  readonly mac?: string;
  /** Other names that containers of this network find it by (Docker: aliases). */
  readonly aliases: readonly string[];
  /** Names by which this container alone finds others on the network: theirs, by alias. */
  readonly links?: Readonly<Record<string, string>>;
}

/** `docker run -p`, or a port published in host mode. */
export interface PortBinding {
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly containerPort: number;
  /** 0 = a free one. */
  readonly hostPort: number;
  /** The first free one from `hostPort` to this; asked for only, what was chosen has none. */
  readonly hostPortMax?: number;
  /**
   * '' asks for every address, and tells of every IPv4 address; :: is every IPv6 address. What is asked for without an
   * address is chosen twice, where the container has both families.
   */
  readonly hostIp: string;
}

export interface SandboxRequest {
  readonly containerId: string;
  /** Path of a namespace that was made for it, as in a user namespace of its own; it is bound while this is done. */
  readonly namespace?: string;
  /** Names the container is known by on each of its networks: its name, its short id, its hostname. */
  readonly names: readonly string[];
  readonly attachments: readonly AttachmentRequest[];
  readonly ports: readonly PortBinding[];
  /** Needs mesh addresses: a task whose service publishes ports through the mesh. */
  readonly mesh: boolean;
  /** What its resolver is to ask first; absent: the machine's own. */
  readonly dns?: readonly string[];
}

export interface AttachmentInfo {
  readonly networkId: string;
  /** CIDR. */
  readonly address: string;
  readonly gateway: string;
  readonly mac: string;
  /** CIDR and gateway, where the network has IPv6. */
  readonly ipv6?: { readonly address: string; readonly gateway: string };
}

/** A container's network namespace with its interfaces: exists from openSandbox to closeSandbox. */
export interface Sandbox {
  readonly containerId: string;
  /** Path of the namespace, for the OCI runtime. */
  readonly netnsPath: string;
  readonly attachments: readonly AttachmentInfo[];
  /** With every host port filled in. */
  readonly ports: readonly PortBinding[];
  /** First of its 16 mesh addresses. */
  readonly meshAddr?: string;
  /** Nameserver for its resolv.conf; absent where the host's own file is to be used. */
  readonly nameserver?: string;
}

/**
 * The data plane of this node: namespaces, links, routes, balancing, published ports, names.
 * Wanted state is kept as values and compared with the kernel's, so a restart re-plans without touching traffic.
 */
export interface NodeNetwork extends AsyncDisposable {
  /** Adopts what is there for these containers, removes what belongs to none. Called once, before anything else. */
  recover(sandboxes: readonly Sandbox[]): Promise<void>;
  /** Brings the cluster part to this state, or takes it all away; resolves when packets go that way. */
  applyCluster(state: NetworkState | undefined): Promise<void>;
  createLocal(network: LocalNetwork): Promise<void>;
  removeLocal(networkId: string): Promise<void>;
  /** Makes the namespace and everything in it. ShoalError CONFLICT: a host port is taken. Half-made is undone. */
  openSandbox(request: SandboxRequest): Promise<Sandbox>;
  closeSandbox(containerId: string): Promise<void>;
  /** Live: another network for a running container, or one less (`docker network connect`). */
  attach(containerId: string, attachment: AttachmentRequest): Promise<AttachmentInfo>;
  detach(containerId: string, networkId: string): Promise<void>;
  /** Established inbound connections on these ports. */
  inboundConnections(containerId: string, pid: number, ports: readonly PortConfig[]): number;
  /** Something listens on every one of these TCP ports, or is bound to the UDP ones. */
  listens(pid: number, ports: readonly PortConfig[]): boolean;
  /** Forgets flows to this container, so that clients which keep a socket go elsewhere. */
  forgetFlows(containerId: string, protocol: 'tcp' | 'udp'): Promise<void>;
}
