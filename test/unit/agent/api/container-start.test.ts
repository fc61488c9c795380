import test from 'ava';
import type { ClusterNetworks } from '#agent/api/cluster-networks.ts';
import { type StartModules, startContainer } from '#agent/api/container-start.ts';
import type { NetworkView } from '#agent/api/network-views.ts';
import { ShoalError } from '#proto/base/errors.ts';

/** A container on this network, which the machine does not have. */
function engineWith(network: string): StartModules['engine'] {
  const containers = {
    start: () => Promise.reject(new ShoalError('NOT_FOUND', `network ${network} not found`)),
    find: () => ({ spec: { endpoints: { [network]: null }, hostConfig: { NetworkMode: network } } }),
  };
  return { containers } as unknown as StartModules['engine'];
}

const NETWORKS = [
  { Name: 'open', Attachable: true },
  { Name: 'closed', Attachable: false },
] as NetworkView[];

function start(network: string, find?: ClusterNetworks['find']): Promise<void> {
  const known: ClusterNetworks['find'] = (name) => NETWORKS.find(({ Name }) => Name === name);
  const cluster = (): ClusterNetworks => ({ find: find ?? known }) as ClusterNetworks;
  return startContainer({ engine: engineWith(network), cluster }, 'c1');
}

test('start: a network of the cluster that is for services only is refused as Docker does', async (t) => {
  await t.throwsAsync(start('closed'), {
    code: 'FORBIDDEN',
    message: /^Could not attach to network closed: .* network closed not manually attachable$/,
  } as object);
});

test('start: what can’t be done yet on a network of the cluster is said, not that there is none', async (t) => {
  await t.throwsAsync(start('open'), { code: 'NOT_IMPLEMENTED', message: /not supported/ } as object);
});

test('start: a network that nobody has, or nobody can tell of, is not found', async (t) => {
  const notFound = { code: 'NOT_FOUND', message: 'network gone not found' } as object;
  await t.throwsAsync(start('gone'), notFound);
  const noLeader = () => Promise.reject(new ShoalError('UNAVAILABLE', 'The swarm does not have a leader.'));
  await t.throwsAsync(start('gone', noLeader), notFound);
});
