import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { assert } from '#proto/base/assert.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { KeyRing } from './keys.ts';
import { release } from './release.ts';

/*
 * The form of every file of consensus: one block of header, then records, each checksummed and encrypted.
 *
 * A file has a random salt, and from it and the data key a key of its own (HKDF), so that a record's sequence number
 * can be its nonce: it is used once in a file. The checksum is mixed with the salt too, so that what an earlier life
 * left behind in a recycled file is no record of this one.
 *
 *   header   0 magic 8 | 8 format u32 | 12 key id u32 | 16 number u48 | 24 first sequence u48 | 32 salt 16 | 48 crc u32
 *   record   0 magic u32 | 4 length u32 | 8 sequence u48, flags u16 | 16 group u48, 0 u16 | 24 crc u32 | 28 0 u32
 *            | 32 tag 16 | 48 ciphertext, up to a multiple of 8
 */

/** Writes start at a multiple of this, so that none touches a block that was synced before. */
export const BLOCK_BYTES = 4096;
/** What a record starts with, before its content. */
export const RECORD_HEADER_BYTES = 48;

/** How the failure begins that tells of a key that is not the one a record was sealed with. */
export const WRONG_KEY = 'the Raft state was not encrypted with the key in keys.json';

const FORMAT = 1;
const SALT_BYTES = 16;
const HEADER_BYTES = 52;
const RECORD_MAGIC = 0x6c6f6873;
const RECORD_ALIGN_BYTES = 8;

export interface FileHeader {
  /** Which file of its kind this is: a segment's number, a snapshot's index. */
  readonly number: number;
  /** The sequence number of its first record. */
  readonly firstSequence: number;
  readonly keyId: number;
  readonly salt: Uint8Array;
}

/** What a kind of file is called, in its first bytes and in messages. */
export interface FileKind {
  readonly magic: string;
  readonly name: string;
}

/** A record as found, still encrypted. */
export interface SealedRecord {
  readonly sequence: number;
  /** The sequence number of the first record that was written together with this one. */
  readonly group: number;
  readonly last: boolean;
  /** Where it starts, and where the next byte after it is. */
  readonly at: number;
  readonly end: number;
}

export interface RecordLabel {
  readonly sequence: number;
  readonly group: number;
  /** The last record of its group. */
  readonly last: boolean;
}

/** The header block of a new file. */
export function encodeHeader(kind: FileKind, header: FileHeader): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(kind.magic, 0, 8, 'latin1');
  block.writeUInt32LE(FORMAT, 8);
  block.writeUInt32LE(header.keyId, 12);
  block.writeUIntLE(header.number, 16, 6);
  block.writeUIntLE(header.firstSequence, 24, 6);
  block.set(header.salt, 32);
  block.writeUInt32LE(crc32(block.subarray(0, 48)), 48);
  return block;
}

/** The header of a file; throws FAILED_PRECONDITION, naming `path`, when it is newer than us, foreign or damaged. */
export function decodeHeader(kind: FileKind, path: string, bytes: Buffer): FileHeader {
  if (bytes.length < HEADER_BYTES || bytes.toString('latin1', 0, 8) !== kind.magic) {
    throw damaged(`${kind.name} ${path} does not start as one`);
  }
  const format = bytes.readUInt32LE(8);
  if (format > FORMAT) {
    const message = `${kind.name} ${path} has format ${format}, and this Shoal reads up to ${FORMAT}: run the version that wrote it`;
    throw new ShoalError('FAILED_PRECONDITION', message);
  }
  if (crc32(bytes.subarray(0, 48)) !== bytes.readUInt32LE(48)) {
    throw damaged(`the header of ${kind.name} ${path} is damaged`);
  }
  return {
    number: bytes.readUIntLE(16, 6),
    firstSequence: bytes.readUIntLE(24, 6),
    keyId: bytes.readUInt32LE(12),
    salt: Uint8Array.from(bytes.subarray(32, 32 + SALT_BYTES)),
  };
}

/** A refusal to go on with damaged state: says that nothing was changed, and what to do. */
export function damaged(what: string): ShoalError {
  return new ShoalError(
    'FAILED_PRECONDITION',
    `${what}. Nothing was changed. While the other managers have a quorum, run docker node demote and then docker node ` +
      'promote on one of them, for this node: it gets everything from them. If this is the only manager, restore a ' +
      'backup of the swarm. An older copy of the state directory must not be put back while others go on',
  );
}

/** A fresh salt for a new file. */
export function newSalt(random: { bytes(count: number): Uint8Array }): Uint8Array {
  return random.bytes(SALT_BYTES);
}

export function alignUp(bytes: number, unit: number): number {
  return Math.ceil(bytes / unit) * unit;
}

/** Seals and opens the records of one file. */
export class Sealer {
  readonly #key: KeyObject;
  readonly #seed: number;
  readonly #nonce = Buffer.alloc(12);

  constructor(kind: FileKind, header: FileHeader, keys: KeyRing) {
    const secret = keys.find(header.keyId).secret;
    const key = hkdfSync('sha256', secret, header.salt, `shoal ${kind.magic}`, 32);
    this.#key = createSecretKey(new Uint8Array(key));
    this.#seed = crc32(header.salt);
  }

  /** How many bytes `seal` writes for content of this size. */
  static sizeOf(contentBytes: number): number {
    return alignUp(RECORD_HEADER_BYTES + contentBytes, RECORD_ALIGN_BYTES);
  }

  /** What a record's header says about the size of its content, before anything of it was checked. */
  static lengthIn(header: Buffer): number {
    return header.readUInt32LE(4);
  }

  /** Writes a record at `at` and gives back where the next one goes. A label's sequence number is used once only. */
  seal(into: Buffer, at: number, label: RecordLabel, content: Uint8Array): number {
    const end = at + Sealer.sizeOf(content.length);
    into.writeUInt32LE(RECORD_MAGIC, at);
    into.writeUInt32LE(content.length, at + 4);
    into.writeUIntLE(label.sequence, at + 8, 6);
    into.writeUInt16LE(label.last ? 1 : 0, at + 14);
    into.writeUIntLE(label.group, at + 16, 6);
    into.writeUInt16LE(0, at + 22);
    into.writeUInt32LE(0, at + 28);
    const cipher = createCipheriv('aes-256-gcm', this.#key, this.#nonceOf(label.sequence));
    cipher.setAAD(into.subarray(at, at + 24));
    const encrypted = cipher.update(content);
    into.set(encrypted, at + RECORD_HEADER_BYTES);
    release(encrypted);
    cipher.final();
    into.set(cipher.getAuthTag(), at + 32);
    into.fill(0, at + RECORD_HEADER_BYTES + content.length, end);
    into.writeUInt32LE(this.#checksum(into, at, content.length), at + 24);
    return end;
  }

  /** What a record's start says of itself, though the rest of it may be missing or changed; nothing where none starts. */
  claims(bytes: Buffer, at: number): Pick<SealedRecord, 'sequence'> | undefined {
    if (at + RECORD_HEADER_BYTES > bytes.length || bytes.readUInt32LE(at) !== RECORD_MAGIC) return undefined;
    return { sequence: bytes.readUIntLE(at + 8, 6) };
  }

  /** The record that starts at `at`; nothing when there is no whole, undamaged record of this file. */
  find(bytes: Buffer, at: number): SealedRecord | undefined {
    if (at + RECORD_HEADER_BYTES > bytes.length || bytes.readUInt32LE(at) !== RECORD_MAGIC) return undefined;
    const length = bytes.readUInt32LE(at + 4);
    if (at + RECORD_HEADER_BYTES + length > bytes.length) return undefined;
    if (this.#checksum(bytes, at, length) !== bytes.readUInt32LE(at + 24)) return undefined;
    return {
      sequence: bytes.readUIntLE(at + 8, 6),
      group: bytes.readUIntLE(at + 16, 6),
      last: bytes.readUInt16LE(at + 14) === 1,
      at,
      end: at + Sealer.sizeOf(length),
    };
  }

  /** The content of a record that was found; throws when the key is not the one it was sealed with. */
  open(bytes: Buffer, record: SealedRecord): Buffer {
    const { at } = record;
    const from = at + RECORD_HEADER_BYTES;
    const decipher = createDecipheriv('aes-256-gcm', this.#key, this.#nonceOf(record.sequence));
    decipher.setAAD(bytes.subarray(at, at + 24));
    decipher.setAuthTag(bytes.subarray(at + 32, at + RECORD_HEADER_BYTES));
    const content = decipher.update(bytes.subarray(from, from + bytes.readUInt32LE(at + 4)));
    try {
      decipher.final();
    } catch {
      throw new ShoalError('FAILED_PRECONDITION', `${WRONG_KEY}: restore the key file that belongs to it`);
    }
    return content;
  }

  #checksum(bytes: Buffer, at: number, length: number): number {
    const header = crc32(bytes.subarray(at, at + 24), this.#seed);
    return crc32(bytes.subarray(at + 28, at + RECORD_HEADER_BYTES + length), header);
  }

  #nonceOf(sequence: number): Buffer {
    assert(sequence < 2 ** 48, 'a sequence number fits a nonce');
    this.#nonce.writeUIntLE(sequence, 0, 6);
    return this.#nonce;
  }
}
