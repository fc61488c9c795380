import type { EntryType, TarEntry } from './entry.ts';

/*
 * Writes tar archives in the pax format, always the same bytes for the same entries: what goes beyond ustar (long names,
 * large numbers, extended attributes) goes into an extended header, nothing else does.
 */

const BLOCK = 512;
const FLAGS: Readonly<Record<EntryType, string>> = {
  file: '0',
  link: '1',
  symlink: '2',
  char: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};
const OCTAL_7_MAX = 0o7777777;
const OCTAL_11_MAX = 0o77777777777;

/** The two empty blocks an archive ends with. */
export const TAR_END = Buffer.alloc(2 * BLOCK);

/** Zero bytes that follow `size` bytes of content. */
export function paddingOf(size: number): Buffer {
  return TAR_END.subarray(0, (BLOCK - (size % BLOCK)) % BLOCK);
}

/** The header of an entry, extended headers included; the time is cut to whole seconds. */
export function headerOf(entry: TarEntry): Buffer {
  const name = entry.type === 'directory' ? `${entry.name}/` : entry.name;
  const records = extendedOf(entry, name);
  const header = ustar({ ...entry, name });
  if (records.length === 0) return header;
  const body = Buffer.concat(records);
  const lead = ustar({ ...PLAIN, name: 'PaxHeaders/entry', size: body.length }, 'x');
  return Buffer.concat([lead, body, paddingOf(body.length), header]);
}

/** A plain file that root owns, to be spread into entries that are made up. */
export const PLAIN: TarEntry = {
  name: '',
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0,
  linkName: '',
  major: 0,
  minor: 0,
  xattrs: new Map(),
};

function extendedOf(entry: TarEntry, name: string): Buffer[] {
  const records: Buffer[] = [];
  if (name.length > 100 || !isAscii(name)) records.push(record('path', name));
  if (entry.linkName.length > 100 || !isAscii(entry.linkName))
    records.push(record('linkpath', entry.linkName));
  if (entry.size > OCTAL_11_MAX) records.push(record('size', String(entry.size)));
  if (entry.uid > OCTAL_7_MAX) records.push(record('uid', String(entry.uid)));
  if (entry.gid > OCTAL_7_MAX) records.push(record('gid', String(entry.gid)));
  for (const [key, value] of [...entry.xattrs].sort(([a], [b]) => (a < b ? -1 : 1))) {
    records.push(record(`SCHILY.xattr.${key}`, value.toString('latin1')));
  }
  return records;
}

/** `length key=value\n`, where the length counts its own digits. */
function record(key: string, value: string): Buffer {
  const rest = key.length + value.length + 3;
  let length = rest + String(rest).length;
  if (String(length).length !== String(rest).length) length = rest + String(length).length;
  return Buffer.from(`${length} ${key}=${value}\n`, 'latin1');
}

function ustar(entry: TarEntry, flag = FLAGS[entry.type]): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write(entry.name.slice(0, 100), 0, 'latin1');
  octal(block, 100, 8, entry.mode);
  octal(block, 108, 8, entry.uid);
  octal(block, 116, 8, entry.gid);
  octal(block, 124, 12, entry.size);
  octal(block, 136, 12, Math.max(0, Math.floor(entry.mtime)));
  block.fill(0x20, 148, 156);
  block.write(flag, 156, 'latin1');
  block.write(entry.linkName.slice(0, 100), 157, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  octal(block, 329, 8, entry.major);
  octal(block, 337, 8, entry.minor);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** Zero where the field is too small: the extended header then says it. */
function octal(block: Buffer, at: number, length: number, value: number): void {
  const digits = value.toString(8);
  block.write(
    digits.length < length ? digits.padStart(length - 1, '0') : '0'.repeat(length - 1),
    at,
    'latin1',
  );
}

function isAscii(name: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range is meant
  return /^[\x00-\x7f]*$/.test(name);
}
