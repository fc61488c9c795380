/* The nftables table of a namespace as a value, and the one transaction that turns one such value into another. */

export interface Chain {
  readonly name: string;
  readonly rules: readonly string[];
}

export interface Element {
  /** The set or map it is in. */
  readonly set: string;
  readonly key: string;
  /** What a map holds for it. */
  readonly value?: string;
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
  const chains = contents.chains.map((chain) => `chain ${chain.name} {\n${chain.rules.join('\n')}\n}`);
  return [
    `table ip ${table}`,
    `delete table ip ${table}`,
    `table ip ${table} {\n${base}\n${chains.join('\n')}\n}`,
    ...elementCommands('add', table, contents.elements),
    ...(base6 === undefined ? [] : [`table ip6 ${table}`, `delete table ip6 ${table}`]),
    ...(base6 ? [`table ip6 ${table} {\n${base6}\n}`] : []),
    '',
  ].join('\n');
}

export function deleteTable(table: string, family: 'ip' | 'ip6' = 'ip'): string {
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
  const oldChains = new Map(before.chains.map((chain) => [chain.name, chain]));
  const newChains = new Map(after.chains.map((chain) => [chain.name, chain]));
  const changed = after.chains.filter((chain) => !sameRules(oldChains.get(chain.name), chain));
  return [
    ...changed.flatMap((chain) => chainCommands(table, chain)),
    ...elementCommands('delete', table, gone),
    ...elementCommands('add', table, come),
    ...before.chains
      .filter((chain) => !newChains.has(chain.name))
      .flatMap((chain) => [
        `flush chain ip ${table} ${chain.name}`,
        `delete chain ip ${table} ${chain.name}`,
      ]),
  ];
}

function sameRules(a: Chain | undefined, b: Chain): boolean {
  return a !== undefined && a.rules.join('\n') === b.rules.join('\n');
}

function chainCommands(table: string, chain: Chain): string[] {
  return [
    `add chain ip ${table} ${chain.name}`,
    `flush chain ip ${table} ${chain.name}`,
    ...chain.rules.map((rule) => `add rule ip ${table} ${chain.name} ${rule}`),
  ];
}

function elementKey(element: Element): string {
  return `${element.set} ${element.key}`;
}

/** One command for each set, whatever the number of elements. */
function elementCommands(verb: 'add' | 'delete', table: string, elements: readonly Element[]): string[] {
  const bySet = Map.groupBy(elements, (element) => element.set);
  return [...bySet].map(([set, members]) => {
    const texts = members.map((element) =>
      verb === 'add' && element.value !== undefined ? `${element.key} : ${element.value}` : element.key,
    );
    return `${verb} element ip ${table} ${set} { ${texts.join(', ')} }`;
  });
}
