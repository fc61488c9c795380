import { createHash, X509Certificate } from 'node:crypto';
import { ShoalError } from '../base/errors.ts';

const PREFIX = 'SWMTKN-1';
export const DIGEST_CHARS = 50;
export const SECRET_CHARS = 25;
const SHAPE = new RegExp(`^${PREFIX}-([0-9a-z]{${DIGEST_CHARS}})-([0-9a-z]{${SECRET_CHARS}})$`);

/** `SWMTKN-1-<digest>-<secret>`: which root to trust, and the right to join. */
export interface JoinToken {
  /** rootDigest() of the cluster's root certificate. */
  readonly digest: string;
  readonly secret: string;
}

/** The token as people paste it. */
export function formatJoinToken(token: JoinToken): string {
  return `${PREFIX}-${token.digest}-${token.secret}`;
}

/** INVALID_ARGUMENT when it can't be a token of ours. */
export function parseJoinToken(text: string): JoinToken {
  const [, digest, secret] = SHAPE.exec(text.trim()) ?? [];
  if (digest === undefined || secret === undefined)
    throw new ShoalError('INVALID_ARGUMENT', 'invalid join token');
  return { digest, secret };
}

/** SHA-256 of a certificate (PEM) as 50 digits of base 36: the middle of a join token. */
export function rootDigest(certificate: string): string {
  return base36(createHash('sha256').update(new X509Certificate(certificate).raw).digest(), DIGEST_CHARS);
}

/** Bytes, read as one big number, in base 36 with leading zeros. */
export function base36(bytes: Uint8Array, chars: number): string {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
    .toString(36)
    .padStart(chars, '0');
}
