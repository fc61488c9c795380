import type { NetworkInfo, NetworkState } from '#proto/types/assignments.ts';
import { MESH_BUCKETS } from '#proto/types/mesh.ts';
import type { PortBinding, Sandbox } from '../node-network.ts';
import { numberOf } from './ipv4.ts';

/** One network that a container is on, with everything chosen. */
export interface AttachmentRecord {
  readonly networkId: string;
  /** The container's `eth<number>`. */
  readonly number: number;
  /** CIDR. */
  readonly address: string;
  readonly gateway: string;
  readonly mac: string;
  readonly aliases: readonly string[];
  readonly ipv6?: { readonly address: string; readonly gateway: string };
  readonly links?: Readonly<Record<string, string>>;
  /** The network as the managers told it when the container came; absent for a bridge of this machine. */
  readonly overlay?: NetworkInfo;
}

/** A container's sandbox as wanted: what was asked, and what was chosen for it. */
export interface SandboxRecord {
  readonly containerId: string;
  readonly names: readonly string[];
  /** The first network that may, leads to the outside, unless there is a `gw0`. */
  readonly attachments: readonly AttachmentRecord[];
  /** With host ports filled in. */
  readonly ports: readonly PortBinding[];
  /** Its service publishes ports through the mesh. */
  readonly mesh: boolean;
  /** Which mesh addresses are its own, 1 to MESH_SLOTS_MAX; with them it has a `gw0`. */
  readonly slot?: number;
  readonly dns?: readonly string[];
}

const SLOT_BITS = 8;

/** What can be told of a sandbox from what its owner was told of it: everything but names. */
export function recordOf(sandbox: Sandbox, cluster: NetworkState | undefined): SandboxRecord {
  const networks = new Map<string, NetworkInfo>(cluster?.networks ?? []);
  const { containerId, ports, meshAddr } = sandbox;
  const attachments = sandbox.attachments.map((on, number) => {
    const overlay = networks.get(on.networkId);
    return { ...on, number, aliases: [], ...(overlay === undefined ? {} : { overlay }) };
  });
  const mesh = meshAddr !== undefined && attachments.every((on) => on.overlay === undefined);
  const slot = meshAddr === undefined ? undefined : slotOf(meshAddr);
  return { containerId, names: [], attachments, ports, mesh, ...(slot === undefined ? {} : { slot }) };
}

/** Which of its node's containers has this mesh address. */
function slotOf(meshAddr: string): number {
  return Math.floor(numberOf(meshAddr) / MESH_BUCKETS) % 2 ** SLOT_BITS;
}
