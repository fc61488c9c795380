import { lchownSync, lstatSync, mkdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ShoalError } from '#proto/base/errors.ts';
import { decompressed } from '../image/jobs/compression.ts';
import type { JobContext } from '../image/jobs/jobs.ts';
import { nameOf, type TarEntry } from '../image/tar/entry.ts';
import { isTarHeader, TarReader } from '../image/tar/reader.ts';
import { PLAIN } from '../image/tar/writer.ts';
import { lstatIfThere } from '../image/tree/attributes.ts';
import { contentOf, entryOf, itemsOf, typeOf } from '../image/tree/tree-reader.ts';
import { TreeWriter } from '../image/tree/tree-writer.ts';
import { pathInRoot } from '../linux/root-path.ts';
import { type Owner, ownerOf } from './owner.ts';

export type CopySourceFile =
  | {
      readonly root: string;
      readonly path: string;
      /** Never unpacked. */
      readonly asIs?: boolean;
    }
  /** A heredoc. */
  | { readonly name: string; readonly content: string };

export interface CopyArgs {
  /** The file system that is copied into, as containers see it. */
  readonly root: string;
  /** Absolute; with a slash at its end it is a folder. Without sources, a folder to be made. */
  readonly dest: string;
  readonly sources: readonly CopySourceFile[];
  /** `user[:group]`, by the names of the file system that is copied into. */
  readonly chown?: string;
  /** Octal. */
  readonly chmod?: string;
  /** Archives are unpacked rather than copied. */
  readonly unpack: boolean;
  /** Of files that are made rather than copied, in seconds. */
  readonly mtime: number;
}

export type CopyResult = undefined;

interface Copying {
  readonly args: CopyArgs;
  readonly owner: Owner;
  readonly mode: number | undefined;
  readonly context: JobContext;
}

/** Does what COPY, ADD and WORKDIR do to a file system. */
export async function copyFiles(args: CopyArgs, context: JobContext): Promise<CopyResult> {
  const copying = { args, owner: chownOf(args), mode: chmodOf(args.chmod), context };
  if (args.sources.length === 0) makeFolders(pathInRoot(args.root, args.dest), copying.owner);
  for (const source of args.sources) await copyOne(source, copying);
  return undefined;
}

function chownOf({ chown, root }: CopyArgs): Owner {
  if (chown === undefined) return { uid: 0, gid: 0 };
  try {
    return ownerOf(chown, root);
  } catch (error) {
    const message = `unable to convert uid/gid chown string to host mapping: ${(error as Error).message}`;
    throw new ShoalError('INVALID_ARGUMENT', message, { cause: error });
  }
}

function chmodOf(chmod: string | undefined): number | undefined {
  if (chmod === undefined) return undefined;
  const mode = /^[0-7]{1,5}$/.test(chmod) ? Number.parseInt(chmod, 8) : Number.NaN;
  if (!(mode <= 0o7777)) {
    throw new ShoalError(
      'INVALID_ARGUMENT',
      `invalid chmod parameter: '${chmod}'. it should be octal string and between 0 and 07777`,
    );
  }
  return mode;
}

async function copyOne(source: CopySourceFile, copying: Copying): Promise<void> {
  const dest = pathInRoot(copying.args.root, copying.args.dest);
  if ('content' in source) {
    const bytes = Buffer.from(source.content);
    const made = { ...PLAIN, size: bytes.length, mtime: copying.args.mtime };
    return writeFile(source.name, made, [bytes], dest, copying);
  }
  const real = pathInRoot(source.root, source.path);
  const stats = lstatSync(real);
  if (stats.isDirectory()) return copyFolder(real, dest, copying);
  if (copying.args.unpack && !source.asIs && stats.isFile() && (await isArchive(real)))
    return await unpackInto(real, dest, copying);
  const entry = entryOf('', nameOf(real), stats, typeOf(stats));
  const content = entry.type === 'file' ? contentOf(nameOf(real), entry.size) : [];
  writeFile(basename(source.path), entry, content, dest, copying);
}

/** The content of a folder goes into the other, which is made; what is there already and has other names stays. */
function copyFolder(from: string, dest: string, copying: Copying): void {
  makeFolders(dest, copying.owner);
  using writer = new TreeWriter({ root: dest, whiteouts: false, owner: copying.owner });
  for (const { entry, path } of itemsOf(nameOf(from), { whiteouts: false })) {
    copying.context.check();
    writer.entry(withMode(entry, copying));
    if (entry.type === 'file') for (const piece of contentOf(path, entry.size)) writer.data(piece);
    writer.endEntry();
  }
  writer.finish();
}

/** Into a folder by its own name, or as the file that the destination says. */
function writeFile(
  name: string,
  entry: TarEntry,
  content: Iterable<Buffer>,
  dest: string,
  copying: Copying,
): void {
  const isFolder = copying.args.dest.endsWith('/') || lstatIfThere(nameOf(dest))?.isDirectory() === true;
  const path = isFolder ? join(dest, name) : dest;
  makeFolders(dirname(path), copying.owner);
  using writer = new TreeWriter({ root: dirname(path), whiteouts: false, owner: copying.owner });
  writer.entry(withMode({ ...entry, name: nameOf(basename(path)) }, copying));
  for (const piece of content) {
    copying.context.check();
    writer.data(piece);
  }
  writer.endEntry();
}

function withMode(entry: TarEntry, { mode }: Copying): TarEntry {
  return mode === undefined || entry.type === 'symlink' ? entry : { ...entry, mode };
}

async function unpackInto(archive: string, dest: string, { owner, args, context }: Copying): Promise<void> {
  makeFolders(dest, owner);
  // Archives keep the owners they have, unless another is asked for.
  const owned = args.chown === undefined ? {} : { owner };
  using writer = new TreeWriter({ root: dest, whiteouts: false, ...owned });
  const reader = new TarReader(writer);
  for await (const chunk of decompressed(archive)) {
    context.check();
    reader.write(chunk);
  }
  reader.end();
  writer.finish();
}

const HEADER_BYTES = 512;

/** Whether a file is a tar archive, compressed or not: by its content, whatever it is called. */
async function isArchive(path: string): Promise<boolean> {
  let head = Buffer.alloc(0);
  try {
    for await (const chunk of decompressed(path)) {
      head = Buffer.concat([head, chunk.subarray(0, HEADER_BYTES)]);
      if (head.length >= HEADER_BYTES) break;
    }
  } catch {
    return false;
  }
  return isTarHeader(head.subarray(0, HEADER_BYTES));
}

/** Makes a folder and those above it that are missing; the new ones belong to the owner. */
function makeFolders(path: string, owner: Owner): void {
  const there = lstatIfThere(nameOf(path));
  if (there?.isDirectory()) return;
  if (there) throw new ShoalError('INVALID_ARGUMENT', `cannot copy to non-directory: ${path}`);
  makeFolders(dirname(path), owner);
  mkdirSync(path, { mode: 0o755 });
  lchownSync(path, owner.uid, owner.gid);
}
