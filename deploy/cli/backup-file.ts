import { scryptSync } from 'node:crypto';
import { dirname } from 'node:path';
import { type Disk, machineDisk } from '#manager/consensus/disk.ts';
import { reasonOf } from '#manager/consensus/finding.ts';
import type { DataKey, KeyRing } from '#manager/consensus/keys.ts';
import { NO_MEMBERSHIP } from '#manager/consensus/membership.ts';
import { WRONG_KEY } from '#manager/consensus/sealed.ts';
import { SnapshotReader, SnapshotWriter } from '#manager/consensus/snapshots.ts';
import { messageOf, ShoalError } from '#proto/base/errors.ts';
import type { Random } from '#proto/base/random.ts';

/*
 * A backup on disk has the form of a Raft snapshot, so that every record of it is checksummed and sealed. The key is
 * made from a passphrase, or is no secret: then the file is only protected from damage.
 */

const SECRET_BYTES = 32;
/** A passphrase costs whoever guesses about 64 MB and a tenth of a second a time. */
const SCRYPT = { N: 2 ** 16, r: 8, p: 1, maxmem: 128 * 1024 * 1024 };
/** The key id of files that anybody may open; every other is the salt of a passphrase's key. */
const OPEN_ID = 0;

/** Writes a backup; the file appears under its name once it is whole and durable. Throws where there is one already. */
export async function writeBackupFile(
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  { passphrase, random }: { readonly passphrase: string | undefined; readonly random: Random },
): Promise<number> {
  const disk = machineDisk;
  refuseExisting(disk, path);
  const partial = `${path}.partial`;
  const info = { index: 0, term: 0, membership: NO_MEMBERSHIP };
  const install = (): void => {
    disk.rename(partial, path);
    disk.syncDirectory(dirname(path));
  };
  const writer = new SnapshotWriter(
    partial,
    info,
    { disk, keys: newKeys(passphrase, random), random },
    install,
  );
  try {
    for await (const piece of bytes) writer.write(piece);
    writer.commit();
    return writer.bytes;
  } finally {
    writer.abort();
  }
}

/** The bytes of a backup, as they were given. Throws FAILED_PRECONDITION where the file is damaged or sealed with another passphrase. */
export async function* readBackupFile(
  path: string,
  passphrase: string | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = openFile(path, passphrase);
  try {
    for (let piece = nextOf(path, reader); piece !== undefined; piece = nextOf(path, reader)) yield piece;
  } finally {
    reader.close();
  }
}

function nextOf(path: string, reader: SnapshotReader): Uint8Array | undefined {
  try {
    return reader.next();
  } catch (error) {
    throw ofBackup(path, error);
  }
}

/** What is said of damaged snapshots ends with what managers are to do. */
function ofBackup(path: string, error: unknown): unknown {
  const reason = reasonOf(error);
  if (reason === messageOf(error)) return error;
  const message = `backup ${path}: ${reason}. Nothing was changed. Use another backup, or take one anew`;
  return new ShoalError('FAILED_PRECONDITION', message, { cause: error });
}

/** The first record does not open with a key that another passphrase made. */
function openFile(path: string, passphrase: string | undefined): SnapshotReader {
  try {
    return new SnapshotReader(path, { disk: machineDisk, keys: keysOf(path, passphrase) });
  } catch (error) {
    if (!messageOf(error).startsWith(WRONG_KEY)) throw ofBackup(path, error);
    throw new ShoalError('FAILED_PRECONDITION', `${path} is encrypted with another passphrase`, {
      cause: error,
    });
  }
}

function refuseExisting(disk: Disk, path: string): void {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (disk.list(dirname(path)).includes(name)) {
    throw new ShoalError('CONFLICT', `${path} is there already: name another file, or remove it first`);
  }
}

function newKeys(passphrase: string | undefined, random: Random): KeyRing {
  if (passphrase === undefined) return ringOf({ id: OPEN_ID, secret: new Uint8Array(SECRET_BYTES) });
  const id = Math.max(1, Buffer.from(random.bytes(4)).readUInt32LE());
  return ringOf(keyOf(passphrase, id));
}

function ringOf(current: DataKey): KeyRing {
  return { current, find: () => current };
}

function keysOf(path: string, passphrase: string | undefined): KeyRing {
  return {
    get current(): DataKey {
      throw new ShoalError('INTERNAL', 'nothing is written with the keys of a backup that is read');
    },
    find(id) {
      if (id === OPEN_ID) return { id, secret: new Uint8Array(SECRET_BYTES) };
      if (passphrase !== undefined) return keyOf(passphrase, id);
      throw new ShoalError('FAILED_PRECONDITION', `${path} is encrypted: give --passphrase-file`);
    },
  };
}

function keyOf(passphrase: string, id: number): DataKey {
  return { id, secret: scryptSync(passphrase, `shoal backup ${id}`, SECRET_BYTES, SCRYPT) };
}
