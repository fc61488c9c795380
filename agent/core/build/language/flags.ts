/** How a flag of an instruction is written: `--name=value`, or `--name` for those that are true or false. */
export type FlagKind = 'text' | 'list' | 'bool';

export interface Flags {
  text(name: string): string | undefined;
  list(name: string): readonly string[];
  bool(name: string): boolean;
}

/** Reads the flags of an instruction. Throws an Error for those it does not have. */
export function readFlags(flags: readonly string[], known: Readonly<Record<string, FlagKind>>): Flags {
  const found = new Map<string, string[]>();
  for (const flag of flags) {
    const equals = flag.indexOf('=');
    const name = flag.slice(2, equals < 0 ? undefined : equals);
    const kind = known[name];
    if (kind === undefined) throw new Error(`unknown flag: --${name}`);
    if (kind !== 'list' && found.has(name)) throw new Error(`duplicate flag specified: ${name}`);
    found.set(name, [...(found.get(name) ?? []), flagValue(flag, equals, kind)]);
  }
  return {
    text: (name) => found.get(name)?.[0],
    list: (name) => found.get(name) ?? [],
    bool: (name) => found.get(name)?.[0] === 'true',
  };
}

function flagValue(flag: string, equals: number, kind: FlagKind): string {
  const value = equals < 0 ? undefined : flag.slice(equals + 1);
  if (kind !== 'bool') {
    if (value === undefined) throw new Error(`missing a value on flag: ${flag.slice(2)}`);
    return value;
  }
  const said = (value ?? 'true').toLowerCase();
  if (said === 'true' || said === 'false') return said;
  throw new Error(`expecting boolean value for flag ${flag.slice(2, equals)}, not: ${value}`);
}
