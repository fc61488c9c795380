import { ShoalError } from '#proto/base/errors.ts';
import { lockBox, openBox } from '#proto/base/locked-box.ts';
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

/** Locked keys need a newer Shoal than open ones. */
const LOCKED_FORMAT = 2;
const BOX = 'state keys';

interface StoredKey {
  readonly id: number;
  /** Base64. */
  readonly secret: string;
}

interface Locking {
  readonly lock: Uint8Array;
  readonly random: Pick<Random, 'bytes'>;
}

/** Either open, or in a box that a lock of this manager's opens. */
interface KeyFile {
  readonly format: number;
  readonly keys?: readonly StoredKey[];
  readonly locked?: string;
}

/** The keys of a state directory, which get newer ones while it is in use. */
export class Keys implements KeyRing {
  #keys: readonly [DataKey, ...DataKey[]];

  /** The newest last. */
  constructor(keys: readonly [DataKey, ...DataKey[]]) {
    this.#keys = keys;
  }

  get current(): DataKey {
    return this.#keys.at(-1) as DataKey;
  }

  /** New files take this one from now on; one that is there already changes nothing. */
  add(key: DataKey): void {
    if (!this.#keys.some(({ id }) => id === key.id)) this.#keys = [...this.#keys, key];
  }

  find(id: number): DataKey {
    const key = this.#keys.find((candidate) => candidate.id === id);
    if (key !== undefined) return key;
    throw new ShoalError(
      'FAILED_PRECONDITION',
      `the Raft state is encrypted with key ${id}, which ${FILE} does not hold: restore the ${FILE} that belongs to it`,
    );
  }
}

/** A ring of the given keys, the newest last. */
export function keyRing(keys: readonly [DataKey, ...DataKey[]]): Keys {
  return new Keys(keys);
}

/** Whether a state directory has its keys. */
export function hasKeys(disk: Disk, directory: string): boolean {
  return disk.list(directory).includes(FILE);
}

/** Makes the first key of a new state directory, in a file that only its owner can read. */
export function createKeys(disk: Disk, directory: string, random: Random): Keys {
  const key = { id: 1, secret: random.bytes(SECRET_BYTES) };
  writeKeys(disk, directory, [storedKey(key)]);
  return keyRing([key]);
}

/** Whether the keys of a state directory are only read with a lock. */
export function areLocked(disk: Disk, directory: string): boolean {
  const path = `${directory}/${FILE}`;
  return parse<KeyFile>(path, readWhole(disk, path).toString()).locked !== undefined;
}

/** Of these locks the one that opens the keys of a state directory; the first where none does, or none is needed. */
export function fittingLock(
  disk: Disk,
  directory: string,
  locks: readonly Uint8Array[],
): Uint8Array | undefined {
  const fits = (lock: Uint8Array): boolean => {
    try {
      return readKeys(disk, directory, lock).length > 0;
    } catch {
      return false;
    }
  };
  return locks.find(fits) ?? locks[0];
}

/** Makes a new key beside those there are; who opens the directory from now on writes with it. */
export function addKey(
  disk: Disk,
  directory: string,
  lock: Uint8Array | undefined,
  random: Pick<Random, 'bytes'>,
): DataKey {
  const keys = readKeys(disk, directory, lock);
  const key = { id: Math.max(0, ...keys.map(({ id }) => id)) + 1, secret: random.bytes(SECRET_BYTES) };
  writeKeys(disk, directory, [...keys, storedKey(key)], lockingOf(disk, directory, lock, random));
  return key;
}

/** Forgets every key but the newest: nothing must be encrypted with another any more. */
export function dropOldKeys(
  disk: Disk,
  directory: string,
  lock: Uint8Array | undefined,
  random: Pick<Random, 'bytes'>,
): void {
  const keys = readKeys(disk, directory, lock);
  if (keys.length > 1) writeKeys(disk, directory, keys.slice(-1), lockingOf(disk, directory, lock, random));
}

/** The newest key of a rotation that was begun and is not over; nothing where there is none. */
export function unfinishedRotation(
  disk: Disk,
  directory: string,
  lock: Uint8Array | undefined,
): DataKey | undefined {
  const keys = readKeys(disk, directory, lock);
  return keys.length > 1 ? loadKeys(disk, directory, lock).current : undefined;
}

/** As it is locked now. */
function lockingOf(
  disk: Disk,
  directory: string,
  lock: Uint8Array | undefined,
  random: Pick<Random, 'bytes'>,
): Locking | undefined {
  return lock !== undefined && areLocked(disk, directory) ? { lock, random } : undefined;
}

function storedKey({ id, secret }: DataKey): StoredKey {
  return { id, secret: Buffer.from(secret).toString('base64') };
}

/** From now on the keys are only read with `to`, or by everybody where there is none. `from`: what locks them now. */
export function relockKeys(
  disk: Disk,
  directory: string,
  { from, to }: { readonly from: Uint8Array | undefined; readonly to: Uint8Array | undefined },
  random: Pick<Random, 'bytes'>,
): void {
  const keys = readKeys(disk, directory, from);
  writeKeys(disk, directory, keys, to === undefined ? undefined : { lock: to, random });
}

function writeKeys(disk: Disk, directory: string, keys: readonly StoredKey[], locking?: Locking): void {
  const file: KeyFile =
    locking === undefined
      ? { format: FORMAT, keys }
      : { format: LOCKED_FORMAT, locked: lockBox(locking.lock, BOX, JSON.stringify(keys), locking.random) };
  writeAtomically(disk, directory, FILE, Buffer.from(`${JSON.stringify(file)}\n`));
}

/** Reads the keys of a state directory; throws FAILED_PRECONDITION when they are missing, locked by another lock or not understood. */
export function loadKeys(disk: Disk, directory: string, lock?: Uint8Array): Keys {
  const stored = readKeys(disk, directory, lock);
  const [first, ...more] = stored.map(({ id, secret }) => ({ id, secret: Buffer.from(secret, 'base64') }));
  if (first === undefined || [first, ...more].some((key) => key.secret.length !== SECRET_BYTES)) {
    throw refuse(`${directory}/${FILE}`, `holds no whole key of ${SECRET_BYTES} bytes: restore it`);
  }
  return keyRing([first, ...more]);
}

function readKeys(disk: Disk, directory: string, lock: Uint8Array | undefined): readonly StoredKey[] {
  const path = `${directory}/${FILE}`;
  if (!hasKeys(disk, directory)) {
    throw refuse(path, 'is missing, and the Raft state beside it cannot be read without it: restore it');
  }
  const file = parse<KeyFile>(path, readWhole(disk, path).toString());
  if (file.format > LOCKED_FORMAT)
    throw refuse(path, `has format ${file.format}, newer than this Shoal's ${LOCKED_FORMAT}`);
  if (file.locked === undefined) return file.keys ?? [];
  if (lock === undefined) throw refuse(path, 'is locked: unlock this manager first');
  return parse<readonly StoredKey[]>(path, opened(path, lock, file.locked));
}

function opened(path: string, lock: Uint8Array, box: string): string {
  try {
    return openBox(lock, BOX, box);
  } catch {
    throw refuse(path, 'is locked for another node, or damaged: restore the one that belongs to it');
  }
}

function parse<T>(path: string, text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    // The parser's own message quotes the text, and the text is secret.
    throw refuse(path, 'is no JSON: restore it');
  }
}

function refuse(path: string, why: string): ShoalError {
  return new ShoalError('FAILED_PRECONDITION', `key file ${path} ${why}`);
}
