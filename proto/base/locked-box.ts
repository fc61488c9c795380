import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { ShoalError } from './errors.ts';
import type { Random } from './random.ts';

/*
 * A text that only who has a secret can read, and nobody can change (AES-256-GCM): nonce 12, tag 16, ciphertext; base64.
 */

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;

/** Locks a text away. `secret` has at least 32 random bytes; `purpose` keeps boxes of different kinds apart. */
export function lockBox(
  secret: Uint8Array,
  purpose: string,
  text: string,
  random: Pick<Random, 'bytes'>,
): string {
  const nonce = random.bytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', keyFor(secret, purpose), nonce);
  const content = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), content]).toString('base64');
}

/** The text of a box. Throws UNAUTHENTICATED when it was locked with another secret, or changed since. */
export function openBox(secret: Uint8Array, purpose: string, box: string): string {
  const bytes = Buffer.from(box, 'base64');
  try {
    const nonce = bytes.subarray(0, NONCE_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', keyFor(secret, purpose), nonce, {
      authTagLength: TAG_BYTES,
    });
    decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
    const content = decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES));
    return Buffer.concat([content, decipher.final()]).toString('utf8');
  } catch (error) {
    throw new ShoalError('UNAUTHENTICATED', 'the key does not fit', { cause: error });
  }
}

function keyFor(secret: Uint8Array, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(), `shoal ${purpose}`, KEY_BYTES));
}
