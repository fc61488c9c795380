import test from 'ava';
import type { ClusterNetworks } from '#agent/api/cluster-networks.ts';
import type { NetworkView } from '#agent/api/network-views.ts';
import { networkRoutes } from '#agent/api/networks.ts';
import type { NetworkRecord } from '#agent/core/network-record.ts';
import type { Engine } from '#agent/core/open-engine.ts';
import { systemClock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { callApi } from '#proto/http/call.ts';

const own: NetworkRecord = {
  id: 'a'.repeat(64),
  name: 'own',
  driver: 'bridge',
  createdAt: '2026-01-01T00:00:00Z',
  internal: false,
  attachable: false,
  options: {},
  labels: {},
};
const shared = { Name: 'shared', Id: 'shared1', Scope: 'swarm', Driver: 'overlay' } as NetworkView;

/** A machine with one network and no containers. */
function engine(): Engine {
  const networks = {
    list: () => [own],
    find: (name: string) => {
      if (name === own.name || name === own.id) return own;
      throw new ShoalError('NOT_FOUND', `network ${name} not found`);
    },
    isBuiltIn: () => false,
    create: () => Promise.resolve(own),
    remove: () => Promise.resolve(own),
  };
  const parts = { networks, containers: { all: () => [] }, clock: systemClock };
  return { parts, membership: { members: () => [] } } as unknown as Engine;
}

function refusing(error: ShoalError): ClusterNetworks {
  const refuse = (): Promise<never> => Promise.reject(error);
  return { list: refuse, find: refuse, create: refuse, remove: refuse, prune: refuse };
}

const noManager = refusing(new ShoalError('NOT_MANAGER', 'This node is not a swarm manager.'));
const noQuorum = refusing(new ShoalError('UNAVAILABLE', 'The swarm does not have a leader.'));
const manager: ClusterNetworks = {
  list: () => [shared],
  find: (name) => (name === 'shared' ? shared : undefined),
  create: () => Promise.resolve({ Id: 'new1', Warning: '' }),
  remove: () => Promise.resolve(),
  prune: (query) => Promise.resolve(query.get('filters') === null ? ['unused'] : []),
};

async function ask(cluster: ClusterNetworks, method: string, target: string, body?: object) {
  const routes = networkRoutes({ engine: engine(), cluster: () => cluster });
  const headers = body ? { 'content-type': 'application/json' } : {};
  const bytes = Buffer.from(body ? JSON.stringify(body) : '');
  const signal = new AbortController().signal;
  const result = await callApi(routes, { method, target, headers, body: bytes }, signal);
  const text = result.body.toString();
  return { status: result.status, body: text === '' ? undefined : JSON.parse(text) };
}

test('networks: a node that manages no cluster has its own, and says of others that they are not there', async (t) => {
  const list = await ask(noManager, 'GET', '/networks');
  t.deepEqual(
    list.body.map(({ Name }: NetworkView) => Name),
    ['own'],
  );
  for (const method of ['GET', 'DELETE']) {
    const missing = await ask(noManager, method, '/networks/nosuch');
    t.is(missing.status, 404);
    t.is(missing.body.message, 'network nosuch not found');
  }
  t.is((await ask(noManager, 'POST', '/networks/create', { Name: 'n' })).status, 201);
  t.deepEqual((await ask(noManager, 'POST', '/networks/prune')).body, { NetworksDeleted: ['own'] });
});

test('networks: what only the cluster can make is refused in its words', async (t) => {
  const { status, body } = await ask(noManager, 'POST', '/networks/create', { Name: 'n', Driver: 'overlay' });
  t.is(status, 503);
  t.is(body.message, 'This node is not a swarm manager.');
});

test('networks: while nobody leads, the machine’s own go on; what may be the cluster’s is not said to be missing', async (t) => {
  t.is((await ask(noQuorum, 'GET', '/networks')).body.length, 1);
  t.is((await ask(noQuorum, 'GET', '/networks/own')).status, 200);
  t.is((await ask(noQuorum, 'POST', '/networks/create', { Name: 'n' })).status, 201);
  t.is((await ask(noQuorum, 'POST', '/networks/prune')).status, 200);
  for (const method of ['GET', 'DELETE']) t.is((await ask(noQuorum, method, '/networks/shared')).status, 503);
});

test('networks: those of the cluster are listed, found, kept apart by name, and pruned with the machine’s', async (t) => {
  const list = await ask(manager, 'GET', '/networks');
  t.deepEqual(
    list.body.map(({ Name }: NetworkView) => Name),
    ['own', 'shared'],
  );
  t.is((await ask(manager, 'GET', '/networks/shared')).body.Id, 'shared1');
  const taken = await ask(manager, 'POST', '/networks/create', { Name: 'shared' });
  t.is(taken.status, 409);
  t.is(taken.body.message, 'network with name shared already exists');
  t.deepEqual((await ask(manager, 'POST', '/networks/prune')).body, { NetworksDeleted: ['own', 'unused'] });
});
