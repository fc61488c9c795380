import { ShoalError } from '#proto/base/errors.ts';
import type { NetworkState } from '#proto/types/assignments.ts';
import type { LocalNetwork, Sandbox } from './node-network.ts';
import type { NodeFacts } from './plan/context.ts';
import { addressOf, cidrOf, numberOf, overlaps, subnetOf } from './plan/ipv4.ts';
import type { PlanInput } from './plan/plan.ts';
import { recordOf, type SandboxRecord } from './plan/sandbox-record.ts';
import type { Records } from './records.ts';

/** What the kernel takes, and no command is led astray by. */
const DEVICE_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/;

/** What is wanted of this node's network, in memory and on disk. */
export class Wanted {
  readonly #records: Records;
  readonly #locals: Map<string, LocalNetwork>;
  readonly sandboxes = new Map<string, SandboxRecord>();
  cluster: NetworkState | undefined;
  /** Where VXLAN packets came from when the cluster's state was last saved. */
  #dataPathAddr: string | undefined;
  #saved: NetworkState | undefined;

  constructor(records: Records) {
    this.#records = records;
    const recorded = records.read();
    this.cluster = recorded.cluster;
    this.#saved = recorded.cluster;
    this.#dataPathAddr = recorded.dataPathAddr;
    this.#locals = new Map(recorded.locals.map((network) => [network.id, network]));
    for (const sandbox of recorded.sandboxes) this.sandboxes.set(sandbox.containerId, sandbox);
  }

  get locals(): ReadonlyMap<string, LocalNetwork> {
    return this.#locals;
  }

  /** Known from before, while nobody says it anew: a daemon that starts keeps what works. */
  get dataPathAddr(): string | undefined {
    return this.cluster === undefined ? undefined : this.#dataPathAddr;
  }

  /** Everything at this moment, unmoved by what comes later. */
  input(facts: NodeFacts): PlanInput {
    return {
      facts,
      ...(this.cluster === undefined ? {} : { cluster: this.cluster }),
      sandboxes: new Map(this.sandboxes),
      locals: new Map(this.#locals),
    };
  }

  /** Keeps these sandboxes and forgets all others; what was not recorded is known as far as its owner tells. */
  keepOnly(sandboxes: readonly Sandbox[], isThere: (sandbox: Sandbox) => boolean): void {
    const wanted = new Map(sandboxes.map((sandbox) => [sandbox.containerId, sandbox]));
    for (const id of [...this.sandboxes.keys()]) {
      if (wanted.has(id)) continue;
      this.sandboxes.delete(id);
      this.#records.removeSandbox(id);
    }
    for (const sandbox of sandboxes) {
      if (this.sandboxes.has(sandbox.containerId) || !isThere(sandbox)) continue;
      this.sandboxes.set(sandbox.containerId, recordOf(sandbox, this.cluster));
    }
  }

  /** Before the kernel follows: a daemon that starts anew must not go back behind what was done. */
  async saveCluster({ cluster, facts }: PlanInput): Promise<void> {
    if (cluster === this.#saved && facts.dataPathAddr === this.#dataPathAddr) return;
    await this.#records.saveCluster(cluster, facts.dataPathAddr);
    this.#saved = cluster;
    this.#dataPathAddr = facts.dataPathAddr;
  }

  saveSandbox(record: SandboxRecord): void {
    this.#records.saveSandbox(record);
  }

  removeSandbox(containerId: string): void {
    this.sandboxes.delete(containerId);
    this.#records.removeSandbox(containerId);
  }

  /** Adds a network of this machine, or changes it. ShoalError FORBIDDEN when its subnet meets another's. */
  addLocal(network: LocalNetwork): void {
    this.#locals.set(network.id, this.#checked(network));
    this.#records.saveLocals([...this.#locals.values()]);
  }

  removeLocal(networkId: string): void {
    this.#locals.delete(networkId);
    this.#records.saveLocals([...this.#locals.values()]);
  }

  #checked(network: LocalNetwork): LocalNetwork {
    if (network.driver !== 'bridge') return network;
    if (network.subnet === undefined)
      throw new ShoalError('INVALID_ARGUMENT', `network ${network.name} has no subnet`);
    if (network.bridgeName !== undefined && !DEVICE_NAME.test(network.bridgeName))
      throw new ShoalError('INVALID_ARGUMENT', `invalid name of a bridge: ${network.bridgeName}`);
    const subnet = subnetOf(network.subnet);
    for (const other of this.#locals.values()) {
      if (other.id === network.id || other.subnet === undefined) continue;
      if (overlaps(subnet, subnetOf(other.subnet)))
        throw new ShoalError(
          'FORBIDDEN',
          'invalid pool request: Pool overlaps with other one on this address space',
        );
    }
    const gateway = numberOf(network.gateway ?? addressOf(subnet.first + 1));
    return { ...network, subnet: cidrOf(subnet), gateway: addressOf(gateway) };
  }
}
