import { ShoalError } from '#proto/base/errors.ts';
import type { Random } from '#proto/base/random.ts';
import type { Cluster } from '#proto/types/objects.ts';

const KEY_BYTES = 32;
/** As people copy it: Swarm's own form, base64 without padding behind it. */
const PREFIX = 'SWMKEY-1-';

/** A new unlock key, as the store keeps it. */
export function newUnlockKey(random: Pick<Random, 'bytes'>): string {
  return Buffer.from(random.bytes(KEY_BYTES)).toString('base64');
}

/** The key of a cluster with these settings: one while its managers lock themselves, a new one where `anew`. */
export function unlockKeyFor(
  { spec, unlockKey }: Pick<Cluster, 'spec' | 'unlockKey'>,
  anew: boolean,
  random: Pick<Random, 'bytes'>,
): { readonly unlockKey?: string } {
  if (!spec.autoLockManagers) return {};
  return { unlockKey: unlockKey === undefined || anew ? newUnlockKey(random) : unlockKey };
}

/** For people. */
export function formatUnlockKey(stored: string): string {
  return PREFIX + stored.replace(/=+$/, '');
}

/** What somebody typed, as the store keeps it. INVALID_ARGUMENT, in Swarm's words, on what is no key. */
export function parseUnlockKey(typed: string): string {
  const bytes = Buffer.from(typed.slice(PREFIX.length), 'base64');
  if (!typed.startsWith(PREFIX) || bytes.length !== KEY_BYTES)
    throw new ShoalError('INVALID_ARGUMENT', 'invalid key string');
  return bytes.toString('base64');
}

/** The secret itself. */
export function unlockSecret(stored: string): Uint8Array {
  return new Uint8Array(Buffer.from(stored, 'base64'));
}
