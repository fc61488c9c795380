import { ShoalError } from '#proto/base/errors.ts';
import type { Random } from '#proto/base/random.ts';
import { type Disk, readWhole, writeAtomically } from './disk.ts';

/** A data key: what one manager encrypts its log and snapshots with. */
export interface DataKey {
  readonly id: number;
  /** 32 bytes. */
  readonly secret: Uint8Array;
}

/** Every key that a file may still be encrypted with; new files take the last. */
export interface KeyRing {
  readonly current: DataKey;
  /** Throws FAILED_PRECONDITION when there is no such key. */
  find(id: number): DataKey;
}

const FORMAT = 1;
const SECRET_BYTES = 32;
const FILE = 'keys.json';

interface KeyFile {
  readonly format: number;
  readonly keys: readonly { readonly id: number; readonly secret: string }[];
}

/** A ring of the given keys, the newest last. */
export function keyRing(keys: readonly [DataKey, ...DataKey[]]): KeyRing {
  return {
    current: keys[keys.length - 1] as DataKey,
    find(id) {
      const key = keys.find((candidate) => candidate.id === id);
      if (key !== undefined) return key;
      throw new ShoalError(
        'FAILED_PRECONDITION',
        `the Raft state is encrypted with key ${id}, which ${FILE} does not hold: restore the ${FILE} that belongs to it`,
      );
    },
  };
}

/** Whether a state directory has its keys. */
export function hasKeys(disk: Disk, directory: string): boolean {
  return disk.list(directory).includes(FILE);
}

/** Makes the first key of a new state directory, in a file that only its owner can read. */
export function createKeys(disk: Disk, directory: string, random: Random): KeyRing {
  const key = { id: 1, secret: random.bytes(SECRET_BYTES) };
  const file: KeyFile = {
    format: FORMAT,
    keys: [{ id: key.id, secret: Buffer.from(key.secret).toString('base64') }],
  };
  writeAtomically(disk, directory, FILE, Buffer.from(`${JSON.stringify(file)}\n`));
  return keyRing([key]);
}

/** Reads the keys of a state directory; throws FAILED_PRECONDITION when they are missing or not understood. */
export function loadKeys(disk: Disk, directory: string): KeyRing {
  const path = `${directory}/${FILE}`;
  if (!hasKeys(disk, directory)) {
    throw refuse(path, 'is missing, and the Raft state beside it cannot be read without it: restore it');
  }
  const file = parse(path, readWhole(disk, path).toString());
  if (file.format > FORMAT)
    throw refuse(path, `has format ${file.format}, newer than this Shoal's ${FORMAT}`);
  const [first, ...more] = file.keys.map(({ id, secret }) => ({ id, secret: Buffer.from(secret, 'base64') }));
  if (first === undefined || [first, ...more].some((key) => key.secret.length !== SECRET_BYTES)) {
    throw refuse(path, `holds no whole key of ${SECRET_BYTES} bytes: restore it`);
  }
  return keyRing([first, ...more]);
}

function parse(path: string, text: string): KeyFile {
  try {
    return JSON.parse(text) as KeyFile;
  } catch {
    // The parser's own message quotes the text, and the text is secret.
    throw refuse(path, 'is no JSON: restore it');
  }
}

function refuse(path: string, why: string): ShoalError {
  return new ShoalError('FAILED_PRECONDITION', `key file ${path} ${why}`);
}
