import { type Fragment, type Fragments, type NamespaceId, NODE_NAMESPACE, type Part } from './fragment.ts';
import { type Item, LINK } from './items.ts';
import { type Chain, changeTable, type Element, replaceTable } from './table.ts';

/** An object to be made or made anew, and the cause it is for. */
export interface ItemChange {
  readonly cause: string;
  readonly item: Item;
  /** It is not there: `create` first. */
  readonly fresh: boolean;
}

/** What is to be done in one namespace. */
export interface NamespaceChange {
  /** Make the namespace first. */
  readonly fresh: boolean;
  /** Set before any device is made. */
  readonly settings: Readonly<Record<string, number>>;
  readonly set: readonly ItemChange[];
  /** Links to be taken away first, because they are made anew. */
  readonly remade: readonly Item[];
  /** In the order of taking away. */
  readonly unset: readonly Item[];
  readonly table: TableChange;
  /** Whose sets and chains change; a failed transaction is theirs. */
  readonly tableCauses: ReadonlySet<string>;
}

/** A script for the whole table, or commands that make one transaction. */
export type TableChange = { readonly replace: string } | { readonly commands: readonly string[] };

export interface Change {
  readonly namespaces: ReadonlyMap<NamespaceId, NamespaceChange>;
  /** Namespaces that are to go, after everything else. */
  readonly remove: readonly NamespaceId[];
}

/** What namespaces were found to hold, those that are there at all; their tables are not looked at but replaced. */
export type Found = ReadonlyMap<NamespaceId, readonly Item[] | 'absent'>;

/**
 * The smallest change from one plan to another. Namespaces in `found` are compared with what they were found to hold
 * instead of with the old plan.
 */
export function difference(before: Fragments, after: Fragments, found: Found, table: string): Change {
  // In the order of the new plan: a router's device before the routes that services have over it.
  const causes = new Set([...after.keys(), ...before.keys()]);
  const touched = [...causes].filter((cause) => before.get(cause) !== after.get(cause));
  const old = sidesOf(before, touched);
  const now = sidesOf(after, touched);
  const wanted = namespacesOf(after);
  const namespaces = new Map<NamespaceId, NamespaceChange>();
  const remove: NamespaceId[] = [];
  for (const id of new Set([...old.keys(), ...now.keys(), ...found.keys()])) {
    const asFound = found.get(id);
    const was = asFound === undefined ? (old.get(id) ?? new Side()) : foundSide(asFound);
    if (!wanted.has(id)) {
      remove.push(id);
      namespaces.set(id, linksOnly(was));
      continue;
    }
    const is = now.get(id) ?? new Side();
    const differs = is.base !== was.base || is.base6 !== was.base6;
    const whole = asFound !== undefined || differs ? sideOf(after, id) : undefined;
    namespaces.set(id, namespaceChange(table, was, asFound === undefined ? is : (whole as Side), whole));
  }
  dropNeedless(namespaces, remove);
  return { namespaces, remove: remove.sort() };
}

/**
 * A link that goes takes with it what was on its other end; and one that leads to a namespace which goes need not be
 * taken away at all.
 */
function dropNeedless(namespaces: Map<NamespaceId, NamespaceChange>, remove: readonly NamespaceId[]): void {
  const ends = new Set<string>();
  for (const { unset } of namespaces.values())
    for (const { createIn, inner } of unset) if (inner !== undefined) ends.add(`${createIn} ${inner}`);
  for (const [id, change] of namespaces) {
    const needed = (item: Item): boolean =>
      !ends.has(`${id} ${item.device}`) && !(item.goesWithPeer && remove.includes(item.createIn ?? ''));
    namespaces.set(id, { ...change, unset: change.unset.filter(needed) });
  }
}

/** What one plan, or a part of it, has in one namespace. */
class Side {
  readonly items: { readonly cause: string; readonly item: Item }[] = [];
  readonly chains: Chain[] = [];
  readonly elements: Element[] = [];
  readonly tableCauses = new Set<string>();
  base: string | undefined;
  base6: string | undefined;
  settings: Readonly<Record<string, number>> | undefined;

  add(cause: string, part: Part): void {
    for (const item of part.items) this.items.push({ cause, item });
    this.chains.push(...part.chains);
    this.elements.push(...part.elements);
    if (part.chains.length + part.elements.length > 0) this.tableCauses.add(cause);
    this.base ??= part.base;
    this.base6 ??= part.base6;
    this.settings ??= part.settings;
  }
}

function sidesOf(fragments: Fragments, causes: readonly string[]): Map<NamespaceId, Side> {
  const sides = new Map<NamespaceId, Side>();
  for (const cause of causes) addTo(sides, cause, fragments.get(cause));
  return sides;
}

function addTo(sides: Map<NamespaceId, Side>, cause: string, fragment: Fragment | undefined): void {
  for (const [id, part] of fragment ?? []) {
    const side = sides.get(id) ?? new Side();
    sides.set(id, side);
    side.add(cause, part);
  }
}

function sideOf(fragments: Fragments, id: NamespaceId): Side {
  const side = new Side();
  for (const [cause, fragment] of fragments) {
    const part = fragment.get(id);
    if (part !== undefined) side.add(cause, part);
  }
  return side;
}

function foundSide(items: readonly Item[] | 'absent'): Side {
  const side = new Side();
  if (items !== 'absent') side.add('found', { items, chains: [], elements: [], settings: {} });
  return side;
}

/** Namespaces that a plan makes; the node's own is always there. */
function namespacesOf(fragments: Fragments): Set<NamespaceId> {
  const ids = new Set<NamespaceId>([NODE_NAMESPACE]);
  for (const fragment of fragments.values()) {
    for (const [id, part] of fragment) if (part.settings !== undefined) ids.add(id);
  }
  return ids;
}

/** A namespace that goes takes all with it, but late: its links are taken away at once. */
function linksOnly(was: Side): NamespaceChange {
  const links = was.items.map(({ item }) => item).filter((item) => item.key.startsWith(LINK));
  return {
    fresh: false,
    settings: {},
    remade: [],
    set: [],
    unset: links.filter((item) => item.unset !== undefined),
    table: { commands: [] },
    tableCauses: new Set(),
  };
}

/** From `was` to `is`; with `whole`, everything of the namespace, its table is replaced. */
function namespaceChange(table: string, was: Side, is: Side, whole: Side | undefined): NamespaceChange {
  return {
    ...itemChanges(was, is),
    fresh: was.settings === undefined && is.settings !== undefined,
    settings: is.settings ?? {},
    table:
      whole?.base === undefined
        ? { commands: changeTable(table, was, is) }
        : { replace: replaceTable(table, whole.base, whole, whole.base6 ?? (was.base6 && '')) },
    tableCauses: new Set([...was.tableCauses, ...is.tableCauses]),
  };
}

function itemChanges(before: Side, after: Side): Pick<NamespaceChange, 'remade' | 'set' | 'unset'> {
  const old = new Map(before.items.map(({ item }) => [item.key, item]));
  const remade = after.items.flatMap(({ item }) => {
    const was = old.get(item.key);
    return was !== undefined && was.fixed !== item.fixed ? [was] : [];
  });
  for (const item of lostWith(remade, old.values())) old.delete(item.key);
  const set: ItemChange[] = [];
  for (const { cause, item } of after.items) {
    const was = old.get(item.key);
    old.delete(item.key);
    if (was?.value !== item.value) set.push({ cause, item, fresh: was === undefined });
  }
  return { remade, set, unset: outlived([...old.values()]) };
}

/** The links themselves and all that is on them. */
function lostWith(links: readonly Item[], items: Iterable<Item>): Item[] {
  const devices = new Set(links.map((item) => item.key.slice(LINK.length)));
  return [...items].filter((item) => links.includes(item) || devices.has(item.device ?? ''));
}

/** What must be taken away by hand, last made first: the rest goes with its device. */
function outlived(gone: readonly Item[]): Item[] {
  const links = new Set(
    gone.filter((item) => item.key.startsWith(LINK)).map((item) => item.key.slice(LINK.length)),
  );
  return gone
    .filter((item) => item.unset !== undefined)
    .filter((item) => item.device === undefined || !links.has(item.device))
    .reverse();
}
