import type { NetworkId } from '#proto/types/ids.ts';
import type { NetworkAttachment, Task, TaskStatus } from '#proto/types/objects.ts';
import type { PortConfig } from '#proto/types/specs.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import type { Words } from './names.ts';

/*
 * The part of a task that its columns don't hold, as bytes. Snapshots hold the same bytes: what a flag or a field means
 * stays, new fields get flags of their own and go behind what is there.
 */

/** What a row's columns hold. */
export type TaskHead = Pick<Task, 'id' | 'serviceId' | 'specVersion' | 'slot' | 'desired'> & {
  readonly nodeId: Task['nodeId'];
  readonly state: TaskStatus['state'];
};

type AllPlaced<T, Placed extends keyof T> = [keyof T] extends [Placed] ? true : never;

/** A field that the types gain must be given its place here, or the compiler says so. */
const ALL_PLACED: AllPlaced<
  Task,
  | Exclude<keyof TaskHead, 'state'>
  | 'version'
  | 'createdAtMs'
  | 'updatedAtMs'
  | 'status'
  | 'networks'
  | 'attempt'
  | 'startAfterMs'
  | 'leavingVersion'
  | 'released'
> &
  AllPlaced<
    TaskStatus,
    'state' | 'atMs' | 'message' | 'error' | 'startedAtMs' | 'container' | 'meshAddr' | 'ports'
  > &
  AllPlaced<NonNullable<TaskStatus['container']>, 'id' | 'pid' | 'exitCode'> &
  AllPlaced<NetworkAttachment, 'networkId' | 'addresses' | 'aliases'> = true;
void ALL_PLACED;

const HAS = {
  error: 1,
  startedAt: 2,
  container: 4,
  /** Its id is 64 hexadecimal digits: half as many bytes. */
  containerHex: 8,
  pid: 16,
  exitCode: 32,
  meshAddr: 64,
  ports: 128,
  attempt: 256,
  startAfter: 512,
  leavingVersion: 1024,
  released: 2048,
  /** `released` is there, and false. */
  unreleased: 4096,
} as const;

const CONTAINER_ID_BYTES = 32;
const ZERO = 0x30;
const NINE = 0x39;
const A = 0x61;
const F = 0x66;
const NO_NETWORKS: readonly NetworkAttachment[] = Object.freeze([]);

const writer = new ByteWriter();
const reader = new ByteReader();

/** The bytes of a task's body, good until the next call. */
export function encodeBody(task: Task, words: Words): Pick<ByteWriter, 'bytes' | 'length'> {
  const { status } = task;
  const flags = flagsOf(task);
  writer.restart();
  writer.count(flags);
  writer.count(task.version);
  writer.count(task.createdAtMs);
  writer.signed(task.updatedAtMs - task.createdAtMs);
  writer.signed(status.atMs - task.createdAtMs);
  writeWord(status.message, words);
  writeStatus(status, flags);
  if (task.attempt !== undefined) writer.count(task.attempt);
  if (task.startAfterMs !== undefined) writer.count(task.startAfterMs);
  if (task.leavingVersion !== undefined) writer.count(task.leavingVersion);
  writeNetworks(task.networks, words);
  return writer;
}

function flagsOf({ status, attempt, startAfterMs, leavingVersion, released }: Task): number {
  const { error, startedAtMs, container, meshAddr, ports } = status;
  return (
    (error === undefined ? 0 : HAS.error) +
    (startedAtMs === undefined ? 0 : HAS.startedAt) +
    (container === undefined ? 0 : containerFlags(container)) +
    (meshAddr === undefined ? 0 : HAS.meshAddr) +
    (ports === undefined ? 0 : HAS.ports) +
    (attempt === undefined ? 0 : HAS.attempt) +
    (startAfterMs === undefined ? 0 : HAS.startAfter) +
    (leavingVersion === undefined ? 0 : HAS.leavingVersion) +
    (released === undefined ? 0 : released ? HAS.released : HAS.unreleased)
  );
}

function containerFlags({ id, pid, exitCode }: NonNullable<TaskStatus['container']>): number {
  return (
    HAS.container +
    (isHexId(id) ? HAS.containerHex : 0) +
    (pid === undefined ? 0 : HAS.pid) +
    (exitCode === undefined ? 0 : HAS.exitCode)
  );
}

/** A pattern would say the same in several times the time, for each update of a task. */
function isHexId(id: string): boolean {
  if (id.length !== 2 * CONTAINER_ID_BYTES) return false;
  for (let char = 0; char < id.length; char++) {
    const code = id.charCodeAt(char);
    if (code < ZERO || code > F || (code > NINE && code < A)) return false;
  }
  return true;
}

function writeStatus(status: TaskStatus, flags: number): void {
  const { atMs, error, startedAtMs, container, meshAddr, ports } = status;
  if (error !== undefined) writer.text(error);
  if (startedAtMs !== undefined) writer.signed(startedAtMs - atMs);
  if (container !== undefined) {
    if (flags & HAS.containerHex) writer.hex(container.id);
    else writer.text(container.id);
    if (container.pid !== undefined) writer.count(container.pid);
    if (container.exitCode !== undefined) writer.signed(container.exitCode);
  }
  if (meshAddr !== undefined) writer.text(meshAddr);
  if (ports !== undefined) writer.text(JSON.stringify(ports));
}

function writeNetworks(networks: readonly NetworkAttachment[], words: Words): void {
  writer.count(networks.length);
  for (const { networkId, addresses, aliases } of networks) {
    writeWord(networkId, words);
    writer.count(addresses.length * 2 + (aliases === undefined ? 0 : 1));
    for (const address of addresses) writer.text(address);
    if (aliases === undefined) continue;
    writer.count(aliases.length);
    for (const alias of aliases) writeWord(alias, words);
  }
}

/** The number of a known text plus one; else 0, and the text. */
function writeWord(text: string, words: Words): void {
  const number = words.numberOf(text);
  writer.count(number === undefined ? 0 : number + 1);
  if (number === undefined) writer.text(text);
}

function readWord(words: Words): string {
  const number = reader.count();
  return number === 0 ? reader.text() : words.textOf(number - 1);
}

/** Whose fields are set one after the other: much faster than spreading objects that may be empty. */
type Building<T> = { -readonly [Key in keyof T]: T[Key] };

/** The task of which this is the head, and its body is in `bytes` from `at` on. Frozen, through and through. */
export function decodeTask(head: TaskHead, bytes: Buffer, at: number, words: Words): Task {
  reader.restart(bytes, at);
  const flags = reader.count();
  const version = reader.count();
  const createdAtMs = reader.count();
  const updatedAtMs = createdAtMs + reader.signed();
  const { id, serviceId, specVersion, slot, nodeId, desired, state } = head;
  const status = readStatus(flags, state, createdAtMs + reader.signed(), words);
  const task: Building<Task> = {
    id,
    serviceId,
    specVersion,
    slot,
    desired,
    status,
    networks: NO_NETWORKS,
    version,
    createdAtMs,
    updatedAtMs,
  };
  if (nodeId !== undefined) task.nodeId = nodeId;
  if (flags >= HAS.attempt) readRare(task, flags);
  task.networks = readNetworks(words);
  return Object.freeze(task);
}

function readStatus(flags: number, state: TaskStatus['state'], atMs: number, words: Words): TaskStatus {
  const status: Building<TaskStatus> = { state, atMs, message: readWord(words) };
  if (flags & HAS.error) status.error = reader.text();
  if (flags & HAS.startedAt) status.startedAtMs = atMs + reader.signed();
  if (flags & HAS.container) status.container = readContainer(flags);
  if (flags & HAS.meshAddr) status.meshAddr = reader.text();
  if (flags & HAS.ports) status.ports = readPorts();
  return Object.freeze(status);
}

type Container = NonNullable<TaskStatus['container']>;

function readContainer(flags: number): Container {
  const id = flags & HAS.containerHex ? reader.hex(CONTAINER_ID_BYTES) : reader.text();
  const container: Building<Container> = { id };
  if (flags & HAS.pid) container.pid = reader.count();
  if (flags & HAS.exitCode) container.exitCode = reader.signed();
  return Object.freeze(container);
}

function readPorts(): readonly PortConfig[] {
  const ports = JSON.parse(reader.text()) as PortConfig[];
  return Object.freeze(ports.map((port) => Object.freeze(port)));
}

function readRare(task: Building<Task>, flags: number): void {
  if (flags & HAS.attempt) task.attempt = reader.count();
  if (flags & HAS.startAfter) task.startAfterMs = reader.count();
  if (flags & HAS.leavingVersion) task.leavingVersion = reader.count();
  if (flags & (HAS.released | HAS.unreleased)) task.released = (flags & HAS.released) > 0;
}

function readNetworks(words: Words): readonly NetworkAttachment[] {
  const count = reader.count();
  if (count === 0) return NO_NETWORKS;
  const networks: NetworkAttachment[] = [];
  while (networks.length < count) networks.push(readNetwork(words));
  return Object.freeze(networks);
}

function readNetwork(words: Words): NetworkAttachment {
  const networkId = readWord(words) as NetworkId;
  const addressesAndMore = reader.count();
  const addresses: string[] = [];
  for (let left = addressesAndMore >> 1; left > 0; left--) addresses.push(reader.text());
  const network: Building<NetworkAttachment> = { networkId, addresses: Object.freeze(addresses) };
  if (addressesAndMore % 2 === 0) return Object.freeze(network);
  const aliases: string[] = [];
  for (let left = reader.count(); left > 0; left--) aliases.push(readWord(words));
  network.aliases = Object.freeze(aliases);
  return Object.freeze(network);
}
