import { messageOf } from '#proto/base/errors.ts';
import type { NetCommands, NetMachine, NetnsPath } from './net-machine.ts';
import type { Change, ItemChange, NamespaceChange, TableChange } from './plan/change.ts';
import { type NamespaceId, NODE_NAMESPACE } from './plan/fragment.ts';
import { type Item, isPlainPort, leave } from './plan/items.ts';
import type { InstanceNames } from './plan/names.ts';

/** Something that was not done; its namespace is to be read again before it is trusted. */
export interface Failure {
  readonly namespace: NamespaceId;
  /** The fragments it was for. */
  readonly causes: readonly string[];
  readonly message: string;
}

export interface ApplyOpts {
  readonly names: Pick<InstanceNames, 'leavingGroup'>;
  readonly netnsDir: string;
}

/** A longer transaction goes to a program of its own. */
const LINE_CHARS_MAX = 64 * 1024;
/** What is gone already need not be taken away. */
const GONE = /Cannot find device|No such (process|file or directory|device)|does not exist|Cannot assign/;
/** A policy rule that is there already. */
const THERE = /File exists/;

/**
 * Carries a change out: what is new is made before packets are sent there, what is old goes when none are sent there
 * any more. Goes on after a failure, so that one bad service does not keep others from changing.
 */
export async function applyChange(opts: ApplyOpts, machine: NetMachine, change: Change): Promise<Failure[]> {
  return await new Application(opts, machine, change).run();
}

export function netnsPath(opts: Pick<ApplyOpts, 'netnsDir'>, id: NamespaceId): NetnsPath {
  return id === NODE_NAMESPACE ? undefined : `${opts.netnsDir}/${id}`;
}

/** The node's namespace and those of routers change all the time; a container's is made and left alone. */
export function isLasting(id: NamespaceId): boolean {
  return id === NODE_NAMESPACE || id.startsWith('net-');
}

/** A command of a batch. */
interface Step {
  /** The namespace it is run in, and the one whose object it makes. */
  readonly at: NamespaceId;
  readonly namespace: NamespaceId;
  readonly cause: string;
  readonly item: Item;
  readonly command: string;
  readonly creates: boolean;
}

class Application {
  readonly #opts: ApplyOpts;
  readonly #machine: NetMachine;
  readonly #commands: NetCommands;
  readonly #change: Change;
  readonly #failures: Failure[] = [];

  constructor(opts: ApplyOpts, machine: NetMachine, change: Change) {
    this.#opts = opts;
    this.#machine = machine;
    this.#commands = machine.commands;
    this.#change = change;
  }

  async run(): Promise<Failure[]> {
    const entries = [...this.#change.namespaces];
    for (const [id, wanted] of entries) this.#makeNamespace(id, wanted);
    await Promise.all(entries.map(([id, wanted]) => this.#takeAway(id, wanted.remade)));
    const batches = this.#batches();
    // What the node makes for containers is there before they set it up.
    await this.#runBatch(NODE_NAMESPACE, batches.get(NODE_NAMESPACE) ?? []);
    batches.delete(NODE_NAMESPACE);
    await Promise.all([...batches].map(([id, batch]) => this.#runBatch(id, batch)));
    await Promise.all(entries.map(([id, wanted]) => this.#changeOne(id, wanted)));
    for (const id of this.#change.remove) await this.#removeNamespace(id);
    return this.#failures;
  }

  #makeNamespace(id: NamespaceId, wanted: NamespaceChange): void {
    const path = netnsPath(this.#opts, id);
    try {
      if (wanted.fresh && path !== undefined) {
        this.#machine.removeNamespace(path);
        this.#machine.createNamespace(path);
      }
      this.#machine.setSettings(path, wanted.settings);
    } catch (error) {
      this.#fail(id, causesOf(wanted), messageOf(error));
    }
  }

  /**
   * What one program does in a namespace and ends: new links, both ends at once, and in a container's namespace all the
   * rest too.
   */
  #batches(): Map<NamespaceId, Step[]> {
    const creating: Step[] = [];
    const setting: Step[] = [];
    for (const [namespace, { set }] of this.#change.namespaces) {
      for (const { item, fresh, cause } of set) {
        const step = { namespace, cause, item };
        if (fresh && item.create !== undefined)
          creating.push({
            ...step,
            at: item.createIn ?? NODE_NAMESPACE,
            command: item.create,
            creates: true,
          });
        if (!isLasting(namespace) && item.by === 'ip' && item.set !== undefined)
          setting.push({ ...step, at: namespace, command: item.set, creates: false });
      }
    }
    return Map.groupBy([...creating, ...setting], (step) => step.at);
  }

  async #runBatch(id: NamespaceId, batch: readonly Step[]): Promise<void> {
    if (batch.length === 0) return;
    let failed = await this.#tryBatch(id, batch);
    // A veth of this name was left by a container that was not taken away: names are made from their ids.
    const inTheWay = failed.filter(({ item, error }) => item.fixed === 'veth' && THERE.test(error));
    if (inTheWay.length > 0) {
      for (const { namespace, item } of inTheWay) await this.#takeAway(namespace, [item]);
      const commands = new Set(failed.map(({ command }) => command));
      const again = batch.filter(({ creates, command }) => !creates || commands.has(command));
      failed = await this.#tryBatch(id, again);
    }
    for (const { namespace, cause, command, error } of failed)
      this.#fail(namespace, [cause], `${command}: ${error}`);
  }

  async #tryBatch(id: NamespaceId, batch: readonly Step[]): Promise<(Step & { error: string })[]> {
    const commands = batch.map(({ command }) => command);
    const errors = await this.#commands
      .runOnce(netnsPath(this.#opts, id), 'ip', commands)
      .catch((error: unknown) => commands.map(() => messageOf(error)));
    return batch.flatMap((step, i) => {
      const error = errors[i];
      return error === undefined ? [] : [{ ...step, error }];
    });
  }

  /** Everything of one namespace, in the order that loses no packet. */
  async #changeOne(id: NamespaceId, wanted: NamespaceChange): Promise<void> {
    try {
      this.#setSwitches(id, wanted.set);
      if (wanted.set.some(makesVxlan)) await this.#commands.release(netnsPath(this.#opts, id));
      if (isLasting(id)) await this.#set(id, wanted.set, 'ip');
      await this.#set(id, wanted.set, 'bridge');
      await this.#setTable(id, wanted);
      await this.#takeAway(id, wanted.unset);
    } catch (error) {
      this.#fail(id, causesOf(wanted), messageOf(error));
    }
  }

  #setSwitches(id: NamespaceId, set: readonly ItemChange[]): void {
    const switches = set.filter(({ item }) => item.by === 'sysctl');
    if (switches.length === 0) return;
    const settings = switches.map(({ item }) => {
      const [name = '', value = ''] = (item.set ?? '').split(' ');
      return [name, Number(value)];
    });
    try {
      this.#machine.setSettings(netnsPath(this.#opts, id), Object.fromEntries(settings));
    } catch (error) {
      this.#fail(
        id,
        switches.map(({ cause }) => cause),
        messageOf(error),
      );
    }
  }

  async #set(id: NamespaceId, set: readonly ItemChange[], tool: 'ip' | 'bridge'): Promise<void> {
    const wanted = set.filter(({ item }) => item.by === tool && item.set !== undefined);
    const commands = wanted.map(({ item }) => item.set as string);
    const errors = await this.#run(id, tool, commands);
    for (const [i, error] of errors.entries()) {
      const { item, cause } = wanted[i] as ItemChange;
      if (error === undefined || (item.key.startsWith('rule ') && THERE.test(error))) continue;
      this.#fail(id, [cause], `${item.set}: ${error}`);
    }
  }

  async #setTable(id: NamespaceId, { table, tableCauses }: NamespaceChange): Promise<void> {
    const error = await this.#loadTable(netnsPath(this.#opts, id), table);
    if (error !== undefined) this.#fail(id, [...tableCauses], `nft: ${error}`);
  }

  async #loadTable(netns: NetnsPath, table: TableChange): Promise<string | undefined> {
    if ('replace' in table) return await this.#commands.load(netns, table.replace);
    if (table.commands.length === 0) return undefined;
    const line = table.commands.join('; ');
    if (line.length > LINE_CHARS_MAX)
      return await this.#commands.load(netns, `${table.commands.join('\n')}\n`);
    return (await this.#commands.run(netns, 'nft', [line]))[0];
  }

  async #takeAway(id: NamespaceId, items: readonly Item[]): Promise<void> {
    for (const tool of ['ip', 'bridge'] as const) {
      const gone = items.filter((item) => item.by === tool && item.unset !== undefined);
      const commands = partings(gone, this.#opts.names.leavingGroup);
      const errors = await this.#run(id, tool, commands);
      for (const [i, error] of errors.entries())
        if (error !== undefined && !GONE.test(error)) this.#fail(id, [], `${commands[i]}: ${error}`);
    }
  }

  async #run(
    id: NamespaceId,
    tool: 'ip' | 'bridge',
    commands: readonly string[],
  ): Promise<readonly (string | undefined)[]> {
    if (commands.length === 0) return [];
    const path = netnsPath(this.#opts, id);
    return isLasting(id)
      ? await this.#commands.run(path, tool, commands)
      : await this.#commands.runOnce(path, tool, commands);
  }

  async #removeNamespace(id: NamespaceId): Promise<void> {
    const path = netnsPath(this.#opts, id) as string;
    try {
      await this.#commands.release(path);
      this.#machine.removeNamespace(path);
    } catch (error) {
      this.#fail(id, [], messageOf(error));
    }
  }

  #fail(namespace: NamespaceId, causes: readonly string[], message: string): void {
    this.#failures.push({ namespace, causes: [...new Set(causes)], message });
  }
}

/**
 * Commands that take items away. The kernel waits out a grace period for each link that goes, and a single one for a
 * group that goes at once.
 */
function partings(items: readonly Item[], group: number): string[] {
  const { ports = [], others = [] } = Object.groupBy(items, (item) =>
    isPlainPort(item) ? 'ports' : 'others',
  );
  if (ports.length < 2) return items.map((item) => item.unset as string);
  return [
    ...ports.map((item) => leave(item, group)),
    `link del group ${group}`,
    ...others.map((item) => item.unset as string),
  ];
}

/** A kept `bridge` would go on with the number of the device that had this name before. */
function makesVxlan({ item, fresh }: ItemChange): boolean {
  return fresh && (item.fixed ?? '').startsWith('vxlan');
}

function causesOf(wanted: NamespaceChange): string[] {
  return [...new Set([...wanted.set.map(({ cause }) => cause), ...wanted.tableCauses])];
}
