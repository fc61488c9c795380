import { ShoalError } from '#proto/base/errors.ts';
import type { Random } from '#proto/base/random.ts';
import type { ClusterSpec } from '#proto/types/specs.ts';
import type { NodeRole } from '#proto/types/states.ts';
import { rotatedSecrets } from '../ca/tokens.ts';
import { unlockKeyFor } from '../ca/unlock-key.ts';
import type { Store } from '../store/view.ts';
import { CLUSTER_NAME } from './cluster-defaults.ts';
import { unstored } from './unstored.ts';

export interface ClusterModules {
  readonly store: Pick<Store, 'view' | 'update'>;
  readonly random: Pick<Random, 'bytes'>;
}

/** What is to be made anew. */
export interface Rotations {
  /** The join tokens of these roles. */
  readonly tokens: readonly NodeRole[];
  readonly unlockKey: boolean;
}

/** The cluster's own settings and join tokens, as users change them. */
export class ClusterSettings {
  readonly #modules: ClusterModules;

  constructor(modules: ClusterModules) {
    this.#modules = modules;
  }

  /** What is not asked for stays. OUT_OF_SEQUENCE when `version` is not the cluster's; what `rotate` names is new. */
  async update(version: number, asked: Partial<ClusterSpec>, rotate: Rotations): Promise<void> {
    const { store, random } = this.#modules;
    const { cluster } = store.view();
    if (cluster === undefined) throw new ShoalError('UNAVAILABLE', 'the swarm has no settings yet');
    if (cluster.version !== version) throw new ShoalError('OUT_OF_SEQUENCE', 'update out of sequence');
    const spec = withAsked(cluster.spec, asked);
    const joinSecrets = rotatedSecrets(cluster, rotate.tokens, random);
    const { unlockKey: _old, ...rest } = unstored(cluster);
    const unlockKey = unlockKeyFor({ ...cluster, spec }, rotate.unlockKey, random);
    await store.update({
      expects: [{ table: 'cluster', id: cluster.id, version }],
      changes: [{ kind: 'putCluster', cluster: { ...rest, spec, joinSecrets, ...unlockKey } }],
    });
  }
}

const NS_PER_MS = 1_000_000;
const HOUR_NS = 3_600_000 * NS_PER_MS;
/** Nanoseconds are kept as whole numbers below 2^53. */
const EXPIRY_DAYS_MAX = 104;

/** These settings with what is asked for, checked. INVALID_ARGUMENT or NOT_IMPLEMENTED in Swarm's words. */
export function withAsked(current: ClusterSpec, asked: Partial<ClusterSpec>): ClusterSpec {
  const spec = { ...current, ...asked };
  if (spec.name !== CLUSTER_NAME) throw invalid(`swarm spec must be named "${CLUSTER_NAME}"`);
  if (spec.nodeCertExpiryNs < HOUR_NS) throw invalid('minimum certificate expiry time is: 1h0m0s');
  if (spec.nodeCertExpiryNs > EXPIRY_DAYS_MAX * 24 * HOUR_NS)
    throw invalid(`maximum certificate expiry time is: ${EXPIRY_DAYS_MAX * 24}h0m0s`);
  if (spec.heartbeatPeriodNs < 0) throw invalid('heartbeat time period cannot be a negative duration');
  if (spec.taskHistoryPerSlot < 0)
    throw notYet('a task history without end is not supported yet: name a limit');
  return spec;
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', message);
}

function notYet(message: string): ShoalError {
  return new ShoalError('NOT_IMPLEMENTED', message);
}
