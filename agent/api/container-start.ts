import { codeOf, ShoalError } from '#proto/base/errors.ts';
import type { Engine } from '../core/open-engine.ts';
import { type ClusterNetworks, ofClusterIfHeard } from './cluster-networks.ts';

export interface StartModules {
  readonly engine: Pick<Engine, 'containers'>;
  /** The networks of the cluster, where this node knows them. */
  readonly cluster?: () => ClusterNetworks | undefined;
}

/** Starts a container. What keeps it from starting is told even where it is a network of the cluster. */
export async function startContainer({ engine, cluster }: StartModules, id: string): Promise<void> {
  try {
    await engine.containers.start(id);
  } catch (error) {
    if (codeOf(error) !== 'NOT_FOUND' || cluster === undefined) throw error;
    throw (await clusterRefusal(networksOf(engine, id), cluster)) ?? error;
  }
}

/** The networks it asks for; none where there is no such container. */
function networksOf({ containers }: StartModules['engine'], id: string): string[] {
  try {
    const { endpoints, hostConfig } = containers.find(id).spec;
    return [...new Set([hostConfig.NetworkMode ?? '', ...Object.keys(endpoints)])];
  } catch {
    return [];
  }
}

/** Why a container that no service made can't be on the first of these that is the cluster's; undefined when none is. */
async function clusterRefusal(
  names: readonly string[],
  cluster: NonNullable<StartModules['cluster']>,
): Promise<ShoalError | undefined> {
  for (const name of names) {
    const network = await ofClusterIfHeard(() => cluster()?.find(name), undefined);
    if (network === undefined) continue;
    if (network.Attachable)
      return new ShoalError(
        'NOT_IMPLEMENTED',
        `Could not attach to network ${name}: connecting a container of its own to a network of the cluster: not supported`,
      );
    const reason = `rpc error: code = PermissionDenied desc = network ${name} not manually attachable`;
    return new ShoalError('FORBIDDEN', `Could not attach to network ${name}: ${reason}`);
  }
  return undefined;
}
