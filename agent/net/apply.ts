import { messageOf } from '#proto/base/errors.ts';
import type { NetCommands, NetMachine, NetnsPath } from './net-machine.ts';
import type { Change, ItemChange, NamespaceChange, TableChange } from './plan/change.ts';
import { type NamespaceId, NODE_NAMESPACE } from './plan/fragment.ts';
import type { Item } from './plan/items.ts';

/** Something that was not done; its namespace is to be read again before it is trusted. */
export interface Failure {
  readonly namespace: NamespaceId;
  /** The fragments it was for. */
  readonly causes: readonly string[];
  readonly message: string;
}

export interface ApplyOpts {
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

export function netnsPath(opts: ApplyOpts, id: NamespaceId): NetnsPath {
  return id === NODE_NAMESPACE ? undefined : `${opts.netnsDir}/${id}`;
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
    await this.#makeLinks(entries);
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

  /** Links are made from the node's namespace, both ends at once, wherever they are. */
  async #makeLinks(entries: readonly [NamespaceId, NamespaceChange][]): Promise<void> {
    const wanted = entries.flatMap(([id, { set }]) =>
      set.filter(({ item, fresh }) => fresh && item.create !== undefined).map((entry) => ({ id, entry })),
    );
    const failed = await this.#create(wanted);
    const leftOver = failed.filter(({ entry, error }) => entry.item.fixed === 'veth' && THERE.test(error));
    for (const { id, entry } of leftOver) await this.#takeAway(id, [entry.item]);
    const again = await this.#create(leftOver);
    for (const { id, entry, error } of [...failed.filter((one) => !leftOver.includes(one)), ...again])
      this.#fail(id, [entry.cause], `${entry.item.create}: ${error}`);
  }

  async #create<T extends { readonly id: NamespaceId; readonly entry: ItemChange }>(
    wanted: readonly T[],
  ): Promise<(T & { error: string })[]> {
    if (wanted.length === 0) return [];
    const commands = wanted.map(({ entry }) => entry.item.create as string);
    const errors = await this.#commands
      .run(undefined, 'ip', commands)
      .catch((error: unknown) => commands.map(() => messageOf(error)));
    return wanted.flatMap((one, i) => {
      const error = errors[i];
      return error === undefined ? [] : [{ ...one, error }];
    });
  }

  /** Everything of one namespace, in the order that loses no packet. */
  async #changeOne(id: NamespaceId, wanted: NamespaceChange): Promise<void> {
    try {
      this.#setSwitches(id, wanted.set);
      await this.#set(id, wanted.set, 'ip');
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
      const commands = gone.map((item) => item.unset as string);
      const errors = await this.#run(id, tool, commands);
      for (const [i, error] of errors.entries())
        if (error !== undefined && !GONE.test(error)) this.#fail(id, [], `${commands[i]}: ${error}`);
    }
  }

  /** Containers' namespaces are set up once; the node's and the routers' change all the time. */
  async #run(
    id: NamespaceId,
    tool: 'ip' | 'bridge',
    commands: readonly string[],
  ): Promise<readonly (string | undefined)[]> {
    if (commands.length === 0) return [];
    const path = netnsPath(this.#opts, id);
    const lasting = id === NODE_NAMESPACE || id.startsWith('net-');
    return lasting
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

function causesOf(wanted: NamespaceChange): string[] {
  return [...new Set([...wanted.set.map(({ cause }) => cause), ...wanted.tableCauses])];
}
