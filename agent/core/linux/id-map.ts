/** `length` ids of a user namespace, from `inside` on: on the machine they are those from `outside` on. */
export interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly length: number;
}

/** Which users and groups of the machine those of containers are. */
export interface IdMaps {
  readonly users: readonly IdRange[];
  readonly groups: readonly IdRange[];
}

/** Whom the kernel shows as owner where a namespace has no id for the real one. */
export const NOBODY = 65_534;

/** The machine's id of one in the namespace; undefined when it has none. */
export function outsideId(map: readonly IdRange[], id: number): number | undefined {
  const range = map.find(({ inside, length }) => id >= inside && id < inside + length);
  return range && range.outside + id - range.inside;
}

/** What an id of the machine is called in the namespace. */
export function insideId(map: readonly IdRange[], id: number): number {
  const range = map.find(({ outside, length }) => id >= outside && id < outside + length);
  return range ? range.inside + id - range.outside : NOBODY;
}

export function idCount(map: readonly IdRange[]): number {
  return map.reduce((sum, { length }) => sum + length, 0);
}

/** What the kernel reads from /proc/PID/uid_map. */
export function mapFile(map: readonly IdRange[]): string {
  return map.map(({ inside, outside, length }) => `${inside} ${outside} ${length}\n`).join('');
}

/**
 * The ranges that a file such as /etc/subuid (`NAME:FIRST:COUNT` per line) gives to one of these names, the lowest first,
 * as one map that begins at 0. Throws with Docker's words when the file can't be understood.
 */
export function subordinateIds(text: string, path: string, names: readonly string[]): IdRange[] {
  const own = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => parsedRange(line, path))
    .filter(({ name }) => name === 'ALL' || names.includes(name))
    .sort((a, b) => a.first - b.first);
  let inside = 0;
  return own.map(({ first, count }) => {
    const range = { inside, outside: first, length: count };
    inside += count;
    return range;
  });
}

function parsedRange(line: string, path: string): { name: string; first: number; count: number } {
  const [name = '', first = '', count = '', ...more] = line.split(':');
  if (count === '' || more.length > 0)
    throw new Error(`Cannot parse subuid/gid information: Format not correct for ${path} file`);
  if (!/^\d{1,10}$/.test(first) || !/^[1-9]\d{0,9}$/.test(count))
    throw new Error(`String to int conversion failed during subuid/gid parsing of ${path}: ${line}`);
  return { name, first: Number(first), count: Number(count) };
}
