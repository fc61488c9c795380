import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  futimesSync,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { ShoalError } from '#proto/base/errors.ts';
import { mkfifo, mknod } from '../../linux/sys.ts';
import { DiskReserve } from '../disk.ts';
import { type EntryType, nameOf, pathOf, type TarEntry, type TarSink, textOf } from '../tar/entry.ts';
import { isWhiteout, lstatIfThere, setOpaque, setTime, setXattrs, timeKept } from './attributes.ts';
import { FolderMap } from './folder-map.ts';
import { copyUp } from './lowers.ts';
import { entryFailure } from './write-failure.ts';

export interface TreeWriterOpts {
  /** An existing folder; nothing outside of it is touched, whatever the archive says. */
  readonly root: string;
  /** Unpacked layers below, top first: folders that the archive leaves out get their attributes from there. */
  readonly lowers?: readonly string[];
  /** `.wh.` names mean that something is gone (a layer); else they are plain names. */
  readonly whiteouts: boolean;
  /** Owns everything, whatever the archive says. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Owns folders that the archive leaves out. */
  readonly folderOwner?: { readonly uid: number; readonly gid: number };
}

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** Names of an older layered file system for its own use. */
const WHITEOUT_META = '.wh..wh.';

const DEVICE_TYPE: Partial<Record<EntryType, number>> = {
  char: constants.S_IFCHR,
  block: constants.S_IFBLK,
};

interface OpenFile {
  readonly entry: TarEntry;
  readonly fd: number;
  readonly path: string;
  /** Where the next byte goes. */
  at: number;
  endsInHole: boolean;
}

/** Writes the entries of an archive as files of one tree, synchronously: it belongs on a worker thread. */
export class TreeWriter implements TarSink {
  readonly #opts: TreeWriterOpts;
  readonly #folders: FolderMap;
  readonly #reserve: DiskReserve;
  readonly #folderTimes = new Map<string, number>();
  #open: OpenFile | undefined;
  /** Bytes of file content, holes among them. */
  contentBytes = 0;

  constructor(opts: TreeWriterOpts) {
    this.#opts = opts;
    this.#reserve = new DiskReserve(opts.root);
    const lowers = (opts.lowers ?? []).map(nameOf);
    this.#folders = new FolderMap(nameOf(opts.root), lowers, opts.folderOwner);
  }

  entry(entry: TarEntry): void {
    try {
      this.#reserve.take(entry.storedSize ?? entry.size);
      this.#begin(entry);
    } catch (error) {
      throw entryFailure(error, entry.name);
    }
  }

  #begin(entry: TarEntry): void {
    const parts = cleanParts(entry.name);
    const base = parts.pop();
    if (base === undefined) return this.#rootAttributes(entry);
    const parent = this.#folders.ensure(parts);
    if (this.#opts.whiteouts && base.startsWith(WHITEOUT)) return this.#whiteout(parent, base, entry);
    const path = `${parent}/${base}`;
    if (entry.type === 'directory') return this.#folder(path, entry);
    this.#replacing(path, () => this.#make(path, entry));
  }

  data(bytes: Buffer): void {
    const open = this.#open;
    if (!open) return;
    for (let at = 0; at < bytes.length; ) {
      at += writeSync(open.fd, bytes, at, bytes.length - at, open.at + at);
    }
    this.#moved(open, bytes.length, false);
  }

  hole(bytes: number): void {
    if (this.#open) this.#moved(this.#open, bytes, true);
  }

  #moved(open: OpenFile, bytes: number, isHole: boolean): void {
    open.at += bytes;
    open.endsInHole = isHole;
    this.contentBytes += bytes;
  }

  endEntry(): void {
    const open = this.#open;
    if (!open) return;
    this.#open = undefined;
    try {
      if (open.endsInHole) ftruncateSync(open.fd, open.at);
      const { uid, gid } = this.#ownerOf(open.entry);
      fchownSync(open.fd, uid, gid);
      fchmodSync(open.fd, open.entry.mode);
      if (open.entry.xattrs.size > 0) setXattrs(open.path, open.entry.xattrs);
      const time = timeKept(open.entry.mtime);
      futimesSync(open.fd, time, time);
    } catch (error) {
      throw entryFailure(error, open.entry.name);
    } finally {
      closeSync(open.fd);
    }
  }

  /** Sets the times of folders, which writing into them has changed. */
  finish(): void {
    for (const [path, time] of [...this.#folderTimes].reverse()) {
      if (lstatIfThere(path)?.isDirectory()) setTime(path, time);
    }
  }

  /** Closes what a failure left open. */
  [Symbol.dispose](): void {
    if (this.#open) closeSync(this.#open.fd);
    this.#open = undefined;
  }

  #ownerOf(entry: TarEntry): { readonly uid: number; readonly gid: number } {
    return this.#opts.owner ?? entry;
  }

  #rootAttributes(entry: TarEntry): void {
    if (entry.type !== 'directory') throw breakout(entry.name);
    this.#folderAttributes(this.#folders.root, entry);
  }

  #folder(path: string, entry: TarEntry): void {
    try {
      mkdirSync(pathOf(path), 0o700);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const there = lstatIfThere(path);
      if (!there?.isDirectory()) {
        unlinkSync(pathOf(path));
        mkdirSync(pathOf(path), 0o700);
        // What this layer had hidden and now has again is not what the layers below have by that name.
        if (this.#opts.whiteouts && there && isWhiteout(there)) setOpaque(path);
      }
    }
    this.#folderAttributes(path, entry);
  }

  #folderAttributes(path: string, entry: TarEntry): void {
    const { uid, gid } = this.#ownerOf(entry);
    lchownSync(pathOf(path), uid, gid);
    chmodSync(pathOf(path), entry.mode);
    setXattrs(path, entry.xattrs);
    this.#folderTimes.delete(path);
    this.#folderTimes.set(path, entry.mtime);
  }

  #make(path: string, entry: TarEntry): void {
    switch (entry.type) {
      case 'file': {
        const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
        const fd = openSync(pathOf(path), flags, 0o600);
        this.#open = { entry, fd, path, at: 0, endsInHole: false };
        return;
      }
      case 'link':
        return linkSync(pathOf(this.#linkTarget(entry)), pathOf(path));
      case 'symlink':
        symlinkSync(pathOf(entry.linkName), pathOf(path));
        break;
      case 'fifo':
        mkfifo(pathOf(path), 0o600);
        break;
      default:
        mknod(pathOf(path), (DEVICE_TYPE[entry.type] ?? 0) | 0o600, entry.major, entry.minor);
    }
    this.#attributes(path, entry);
  }

  #attributes(path: string, entry: TarEntry): void {
    const { uid, gid } = this.#ownerOf(entry);
    lchownSync(pathOf(path), uid, gid);
    if (entry.type !== 'symlink') chmodSync(pathOf(path), entry.mode);
    setXattrs(path, entry.xattrs);
    setTime(path, entry.mtime);
  }

  /** The file that a hard link names, brought here first when only a layer below has it. */
  #linkTarget(entry: TarEntry): string {
    const parts = cleanParts(entry.linkName);
    const base = parts.pop();
    if (base === undefined) throw breakout(entry.linkName);
    const parent = this.#folders.ensure(parts);
    const path = `${parent}/${base}`;
    const there = lstatIfThere(path);
    if (there === undefined) {
      const found = copyUp(this.#folders, parts, base, path);
      if (!found)
        throw invalid(`hard link ${textOf(entry.name)} to ${textOf(entry.linkName)}, which is not there`);
    } else if (there.isDirectory()) {
      throw invalid(`hard link ${textOf(entry.name)} to the directory ${textOf(entry.linkName)}`);
    }
    return path;
  }

  #whiteout(parent: string, base: string, entry: TarEntry): void {
    if (entry.size > 0 && entry.type === 'file') throw invalid(`whiteout ${textOf(entry.name)} with content`);
    if (base === OPAQUE) return setOpaque(parent);
    if (base.startsWith(WHITEOUT_META)) return;
    const gone = base.slice(WHITEOUT.length);
    if (gone === '' || gone === '.' || gone === '..') throw breakout(entry.name);
    if (!this.#folders.hasLowers) return;
    const path = `${parent}/${gone}`;
    const there = lstatIfThere(path);
    if (there?.isDirectory()) setOpaque(path);
    else if (there === undefined) mknod(pathOf(path), constants.S_IFCHR, 0, 0);
  }

  /** Runs `make`; when something is in its place already, that goes first. */
  #replacing(path: string, make: () => void): void {
    try {
      make();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const isFolder = lstatIfThere(path)?.isDirectory() === true;
      rmSync(pathOf(path), { recursive: isFolder, force: true });
      if (isFolder) this.#folders.forget();
      make();
    }
  }
}

/** The parts of a name, `.` and `..` worked out. Throws when it leads out of the tree. */
function cleanParts(name: string): string[] {
  const parts: string[] = [];
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) throw breakout(name);
  }
  return parts;
}

function breakout(name: string): ShoalError {
  return invalid(`"${textOf(name)}" is outside of the directory it is unpacked into`);
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', `archive/tar: ${message}`);
}
