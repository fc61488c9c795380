/* The nftables tables of a namespace as a value, and the one transaction that turns one such value into another. */

/** Of the table that something is in: one for IPv4, and where there is IPv6, one for that, by the same name. */
export type Family = 'ip' | 'ip6';

export interface Chain {
  readonly name: string;
  readonly rules: readonly string[];
  /** Absent: `ip`. */
  readonly family?: Family;
}

export interface Element {
  /** The set or map it is in. */
  readonly set: string;
  readonly key: string;
  /** What a map holds for it. */
  readonly value?: string;
  /** Absent: `ip`. */
  readonly family?: Family;
}

export interface Contents {
  readonly chains: readonly Chain[];
  readonly elements: readonly Element[];
}

/**
 * A script that replaces the whole table at once; flows that are established live on, they are conntrack's. `base6`: of the
 * table for IPv6; undefined: there is none, and '' takes it away.
 */
export function replaceTable(table: string, base: string, contents: Contents, base6?: string): string {
  return [
    deleteTable(table).trimEnd(),
    wholeTable('ip', table, base, contents),
    ...(base6 === undefined ? [] : [deleteTable(table, 'ip6').trimEnd()]),
    ...(base6 ? [wholeTable('ip6', table, base6, contents)] : []),
    '',
  ].join('\n');
}

function wholeTable(family: Family, table: string, base: string, { chains, elements }: Contents): string {
  const own = chains.filter((chain) => familyOf(chain) === family);
  const texts = own.map((chain) => `chain ${chain.name} {\n${chain.rules.join('\n')}\n}`);
  return [
    `table ${family} ${table} {\n${base}\n${texts.join('\n')}\n}`,
    ...elementCommands(
      'add',
      table,
      elements.filter((element) => familyOf(element) === family),
    ),
  ].join('\n');
}

function familyOf({ family = 'ip' }: { readonly family?: Family }): Family {
  return family;
}

export function deleteTable(table: string, family: Family = 'ip'): string {
  return `table ${family} ${table}\ndelete table ${family} ${table}\n`;
}

/** Commands that turn one content into another, in an order the kernel takes; none when they are alike. */
export function changeTable(table: string, before: Contents, after: Contents): string[] {
  const oldElements = new Map(before.elements.map((element) => [elementKey(element), element]));
  const newElements = new Map(after.elements.map((element) => [elementKey(element), element]));
  const differs = (a: Element | undefined, b: Element): boolean =>
    a === undefined || (a.value ?? '') !== (b.value ?? '');
  const gone = [...oldElements.values()].filter((old) => differs(newElements.get(elementKey(old)), old));
  const come = [...newElements.values()].filter((now) => differs(oldElements.get(elementKey(now)), now));
  const oldChains = new Map(before.chains.map((chain) => [chainKey(chain), chain]));
  const newChains = new Map(after.chains.map((chain) => [chainKey(chain), chain]));
  const changed = after.chains.filter((chain) => !sameRules(oldChains.get(chainKey(chain)), chain));
  return [
    ...changed.flatMap((chain) => chainCommands(table, chain)),
    ...elementCommands('delete', table, gone),
    ...elementCommands('add', table, come),
    ...before.chains
      .filter((chain) => !newChains.has(chainKey(chain)))
      .flatMap((chain) => [`flush chain ${chainIn(table, chain)}`, `delete chain ${chainIn(table, chain)}`]),
  ];
}

function sameRules(a: Chain | undefined, b: Chain): boolean {
  return a !== undefined && a.rules.join('\n') === b.rules.join('\n');
}

function chainCommands(table: string, chain: Chain): string[] {
  const which = chainIn(table, chain);
  return [
    `add chain ${which}`,
    `flush chain ${which}`,
    ...chain.rules.map((rule) => `add rule ${which} ${rule}`),
  ];
}

function chainIn(table: string, chain: Chain): string {
  return `${familyOf(chain)} ${table} ${chain.name}`;
}

function chainKey(chain: Chain): string {
  return `${familyOf(chain)} ${chain.name}`;
}

function elementKey(element: Element): string {
  return `${familyOf(element)} ${element.set} ${element.key}`;
}

/** One command for each set, whatever the number of elements. */
function elementCommands(verb: 'add' | 'delete', table: string, elements: readonly Element[]): string[] {
  const bySet = Map.groupBy(elements, (element) => `${familyOf(element)} ${table} ${element.set}`);
  return [...bySet].map(([set, members]) => {
    const texts = members.map((element) =>
      verb === 'add' && element.value !== undefined ? `${element.key} : ${element.value}` : element.key,
    );
    return `${verb} element ${set} { ${texts.join(', ')} }`;
  });
}
