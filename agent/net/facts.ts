import type { NetMachine } from './net-machine.ts';
import type { NodeFacts } from './plan/context.ts';

const LAN_MTU_DEFAULT = 1_500;

export interface FactsModules {
  readonly machine: NetMachine;
  /** Where this node's VXLAN packets come from; undefined while it is in no cluster. */
  readonly dataPathAddr: () => string | undefined;
}

/** What the node is, asked anew before every plan: addresses come and go. */
export class FactFinder {
  readonly #opts: Pick<NodeFacts, 'names' | 'netnsDir'>;
  readonly #modules: FactsModules;
  #mtu: { readonly of: string | undefined; readonly value: number } = {
    of: undefined,
    value: LAN_MTU_DEFAULT,
  };

  constructor(opts: Pick<NodeFacts, 'names' | 'netnsDir'>, modules: FactsModules) {
    this.#opts = opts;
    this.#modules = modules;
  }

  /** `bridges`: devices of our own, whose addresses say nothing to other nodes. */
  async find(resolverPort: number, bridges: ReadonlySet<string>): Promise<NodeFacts> {
    const { machine } = this.#modules;
    const dataPathAddr = this.#modules.dataPathAddr();
    const ours = new Set([...bridges, this.#opts.names.meshDevice]);
    const addresses = [...machine.addresses()].flatMap(([device, own]) => (ours.has(device) ? [] : own));
    return {
      names: this.#opts.names,
      netnsDir: this.#opts.netnsDir,
      ownNetns: machine.ownNetns,
      resolverPort,
      ...(dataPathAddr === undefined ? {} : { dataPathAddr }),
      addresses: addresses.sort(),
      lanMtu: dataPathAddr === undefined ? LAN_MTU_DEFAULT : await this.#mtuOf(dataPathAddr),
    };
  }

  async #mtuOf(address: string): Promise<number> {
    if (this.#mtu.of === address) return this.#mtu.value;
    const text = await this.#modules.machine.commands.query(undefined, ['ip', '-j', '-4', 'addr', 'show']);
    const rows = JSON.parse(text) as { mtu?: number; addr_info?: { local: string }[] }[];
    const row = rows.find((one) => one.addr_info?.some((info) => info.local === address));
    // An address that no device has (yet) says nothing; it is looked for again with the next change.
    if (row?.mtu === undefined) return LAN_MTU_DEFAULT;
    this.#mtu = { of: address, value: row.mtu };
    return row.mtu;
  }
}
