import { messageOf, ShoalError } from '#proto/base/errors.ts';
import type { NetCommands } from './net-machine.ts';

const VLAN_ID_MAX = 4_094;

export interface VlanModules {
  readonly commands: Pick<NetCommands, 'query' | 'run'>;
}

/**
 * The devices that networks of the node's own kind (macvlan) are on: those that are there, and VLANs that are made of
 * them, as Docker does. What we have made says so in its alias, and goes when nobody needs it any more.
 */
export class ParentDevices {
  /** Told by the alias: other daemons of the machine have theirs. */
  readonly #mark: string;
  readonly #commands: VlanModules['commands'];

  constructor(opts: { readonly mark: string }, modules: VlanModules) {
    this.#mark = opts.mark;
    this.#commands = modules.commands;
  }

  /** Makes a VLAN that is not there. INVALID_ARGUMENT for a device that can't be had. */
  async need(device: string): Promise<void> {
    const missing = await this.#look(device).then(
      () => undefined,
      (error: unknown) => messageOf(error),
    );
    if (missing === undefined) return;
    const vlan = vlanOf(device);
    const problem = vlan === undefined ? missing : await this.#make(device, vlan);
    if (problem !== undefined)
      throw new ShoalError('INVALID_ARGUMENT', `invalid parent device ${device}: ${problem}`);
  }

  /** Takes a device away if it was made here; one that is gone already is as good. */
  async release(device: string): Promise<void> {
    const alias = await this.#look(device).catch(() => undefined);
    if (alias === this.#mark) await this.#commands.run(undefined, 'ip', [`link del dev ${device}`]);
  }

  /** Takes away all that were made here. */
  async releaseAll(): Promise<void> {
    const text = await this.#commands.query(undefined, ['ip', '-j', 'link', 'show', 'type', 'vlan']);
    // Where there is none the answer has no rows, or empty ones.
    const rows = JSON.parse(text.trim() || '[]') as { ifname?: string; ifalias?: string }[];
    const ours = rows.filter((row) => row.ifalias === this.#mark);
    const commands = ours.map((row) => `link del dev ${row.ifname}`);
    if (commands.length > 0) await this.#commands.run(undefined, 'ip', commands);
  }

  /** Its alias. Rejects when there is no such device. */
  async #look(device: string): Promise<string> {
    const text = await this.#commands.query(undefined, ['ip', '-j', 'link', 'show', 'dev', device]);
    const [row] = JSON.parse(text) as { ifalias?: string }[];
    return row?.ifalias ?? '';
  }

  /** What went wrong, or undefined. */
  async #make(device: string, { parent, id }: { parent: string; id: number }): Promise<string | undefined> {
    const errors = await this.#commands.run(undefined, 'ip', [
      `link add link ${parent} name ${device} type vlan id ${id}`,
      `link set dev ${device} alias ${this.#mark} up`,
    ]);
    return errors.find((error) => error !== undefined);
  }
}

/** `eth0.10` */
function vlanOf(device: string): { parent: string; id: number } | undefined {
  const [, parent, digits] = /^(.+)\.(\d{1,4})$/.exec(device) ?? [];
  const id = Number(digits);
  return parent === undefined || id < 1 || id > VLAN_ID_MAX ? undefined : { parent, id };
}
