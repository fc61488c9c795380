import { createHash } from 'node:crypto';

/** `algorithm:hex`: the name of some bytes by their hash. */
export type Digest = string;

const HEX_DIGITS: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 };

/** True for a whole digest with a known algorithm; only such may become part of a path. */
export function isDigest(text: string): boolean {
  const [algorithm = '', hex = '', ...rest] = text.split(':');
  return rest.length === 0 && HEX_DIGITS[algorithm] === hex.length && /^[0-9a-f]+$/.test(hex);
}

export function algorithmOf(digest: Digest): string {
  return digest.slice(0, digest.indexOf(':'));
}

export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}

export function sha256Of(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** The first 12 digits, as Docker shows ids. Also takes an id without its algorithm, or nothing. */
export function shortId(id: string): string {
  return id.slice(id.indexOf(':') + 1).slice(0, 12);
}

/**
 * Names of a stack of layers, base first (OCI image-spec, "Layer ChainID"): each stands for its layer and all below.
 */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(below === undefined ? diffId : sha256Of(`${below} ${diffId}`));
  }
  return chain;
}

/** The tar archive with nothing in it: what a build step leaves that changed no file. */
export const EMPTY_DIFF_ID: Digest = sha256Of(new Uint8Array(1024));
