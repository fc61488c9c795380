/*
 * Names of files are bytes, not text: in this folder and wherever trees are written or walked they are held as strings
 * of one character a byte, so that a name that is no UTF-8 survives unharmed. `pathOf` is how they reach the disk.
 */

export type EntryType = 'file' | 'link' | 'symlink' | 'char' | 'block' | 'directory' | 'fifo';

export interface TarEntry {
  /** As bytes; without trailing slash. */
  readonly name: string;
  readonly type: EntryType;
  /** Permission bits with set-uid, set-gid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content that follow, holes among them; 0 for all but files. */
  readonly size: number;
  /** Bytes that the archive has of it, when it leaves out what is zero. */
  readonly storedSize?: number;
  /** Seconds since the epoch, with a fraction where the archive has one. */
  readonly mtime: number;
  /** Of links, as bytes. */
  readonly linkName: string;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: ReadonlyMap<string, Buffer>;
}

/** What an archive is made of, as it comes: one entry, then its content in pieces, then its end. */
export interface TarSink {
  entry(entry: TarEntry): void;
  /** A view of the reader's buffer: copy what must outlive the call. */
  data(bytes: Buffer): void;
  /** So many bytes of zero, which need not be written. */
  hole(bytes: number): void;
  endEntry(): void;
}

/** The bytes of a name as the system calls want them. */
export function pathOf(name: string): Buffer {
  return Buffer.from(name, 'latin1');
}

/** Text to a name. */
export function nameOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** A name as text, for people; what is no UTF-8 shows as replacement characters. */
export function textOf(name: string): string {
  return Buffer.from(name, 'latin1').toString('utf8');
}
