import { timingSafeEqual } from 'node:crypto';
import { ShoalError } from '#proto/base/errors.ts';
import type { Random } from '#proto/base/random.ts';
import { base36, formatJoinToken, parseJoinToken, SECRET_CHARS } from '#proto/rpc/join-token.ts';
import type { Cluster } from '#proto/types/objects.ts';
import type { NodeRole } from '#proto/types/states.ts';

type TokenSource = Pick<Cluster, 'rootCa' | 'joinSecrets'>;

/** A new secret half of a join token: 128 random bits. */
export function newJoinSecret(random: Pick<Random, 'bytes'>): string {
  return base36(random.bytes(16), SECRET_CHARS);
}

/** A new secret for each role. */
export function newJoinSecrets(random: Pick<Random, 'bytes'>): Cluster['joinSecrets'] {
  return { worker: newJoinSecret(random), manager: newJoinSecret(random) };
}

/** The cluster's secrets with those of `roles` made anew: the old tokens let nobody in any more. */
export function rotatedSecrets(
  cluster: TokenSource,
  roles: readonly NodeRole[],
  random: Pick<Random, 'bytes'>,
): Cluster['joinSecrets'] {
  const fresh = newJoinSecrets(random);
  const pick = (role: NodeRole): string => (roles.includes(role) ? fresh : cluster.joinSecrets)[role];
  return { worker: pick('worker'), manager: pick('manager') };
}

/** The token that a node of this role joins with. */
export function joinToken(cluster: TokenSource, role: NodeRole): string {
  return formatJoinToken({ digest: cluster.rootCa.digest, secret: cluster.joinSecrets[role] });
}

/** The role that a token gives; UNAUTHENTICATED, in Swarm's words, when it gives none. */
export function roleOfToken(cluster: TokenSource, token: string): NodeRole {
  const { digest, secret } = parsed(token);
  const manager = equal(secret, cluster.joinSecrets.manager);
  const worker = equal(secret, cluster.joinSecrets.worker);
  if (digest !== cluster.rootCa.digest || !(manager || worker)) throw tokenNeeded();
  return manager ? 'manager' : 'worker';
}

function parsed(token: string): ReturnType<typeof parseJoinToken> {
  try {
    return parseJoinToken(token);
  } catch (error) {
    throw tokenNeeded({ cause: error });
  }
}

/** Of a token that no manager accepts, or none. What is no token at all, the node that was told it refuses itself. */
export function tokenNeeded(options?: ErrorOptions): ShoalError {
  return new ShoalError('UNAUTHENTICATED', 'A valid join token is necessary to join this cluster', options);
}

/** In a time that does not tell how much of it was right. */
function equal(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
