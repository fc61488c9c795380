import type { Random } from '../base/random.ts';

/** An id that knows its kind. Cluster objects: 25 characters of base 36, as in Swarm. */
export type Id<Kind extends string> = string & { readonly __kind: Kind };
export type ClusterId = Id<'cluster'>;
export type NodeId = Id<'node'>;
export type ServiceId = Id<'service'>;
export type TaskId = Id<'task'>;
export type NetworkId = Id<'network'>;

const ID_CHARS = 25;
const ID_SPACE = 36n ** BigInt(ID_CHARS);

/** A new cluster-wide id: 128 random bits as 25 characters of base 36. */
export function newId<Kind extends string>(random: Random): Id<Kind> {
  return toId([...random.bytes(16)].reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n));
}

/**
 * The id of the task number `serial` of a service. Derived, so that every replica that applies the same log
 * entry, and a leader that plans several steps ahead, names the same task alike.
 * `epoch` changes when a cluster is forced anew, so that a history that was lost never shares a task's id.
 */
export function deriveTaskId(serviceId: ServiceId, epoch: number, serial: number): TaskId {
  const words = hash128(`${serviceId}/${epoch}/${serial}`);
  return toId(words.reduce((sum, word) => (sum << 32n) | BigInt(word), 0n));
}

function toId<Kind extends string>(value: bigint): Id<Kind> {
  return (value % ID_SPACE).toString(36).padStart(ID_CHARS, '0') as Id<Kind>;
}

/** MurmurHash3 x86 128-bit finalisers over four lanes: spreads well, promises no secrecy. */
function hash128(text: string): number[] {
  const lanes = [0x9368e53c, 0x586dcd20, 0x9ae16a3b, 0x2d358dcc];
  for (let i = 0; i < text.length; i++) {
    for (let lane = 0; lane < 4; lane++) {
      const mixed = Math.imul((lanes[lane] as number) ^ (text.charCodeAt(i) + lane * 0x101), 0x85ebca6b);
      lanes[lane] = (mixed ^ (mixed >>> 13)) >>> 0;
    }
  }
  return lanes.map((lane, i) => finish((lane ^ Math.imul(lanes[(i + 1) % 4] as number, 0xc2b2ae35)) >>> 0));
}

function finish(word: number): number {
  let mixed = word ^ (word >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
