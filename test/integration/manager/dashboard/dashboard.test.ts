import { on, once } from 'node:events';
import test from 'ava';
import { WebSocket } from 'ws';
import { Feed } from '#manager/dashboard/feed.ts';
import type { Picture } from '#manager/dashboard/picture.ts';
import { serveDashboard } from '#manager/dashboard/server.ts';
import type { Change } from '#manager/store/changes.ts';
import { systemClock } from '#proto/base/clock.ts';
import type { NodeId, ServiceId } from '#proto/types/ids.ts';
import { openTestStoreWith } from '#test/support/local-log.ts';

const NODE = 'node1' as NodeId;
const SERVICE = 'service1' as ServiceId;

const CLUSTER: readonly Change[] = [
  {
    kind: 'putNode',
    node: {
      id: NODE,
      spec: { role: 'manager', availability: 'active' },
      role: 'manager',
      status: { state: 'ready' },
    },
  },
  {
    kind: 'putService',
    service: {
      id: SERVICE,
      spec: {
        name: 'web',
        task: { container: { image: 'web:1@sha256:abc' } },
        mode: { kind: 'replicated', replicas: 2 },
      },
    },
  },
];

/** A dashboard on a free port of loopback, over a store with one node and one service. */
async function open() {
  const { store } = await openTestStoreWith(CLUSTER);
  const feed = new Feed({ clock: systemClock, store, leader: () => NODE });
  const dashboard = await serveDashboard(
    { host: '127.0.0.1', port: 0 },
    { metrics: async () => 'swarm_manager_leader 1\n', feed: () => feed },
  );
  return {
    store,
    feed,
    url: `http://127.0.0.1:${dashboard.port}`,
    async [Symbol.asyncDispose]() {
      feed[Symbol.dispose]();
      await dashboard[Symbol.asyncDispose]();
    },
  };
}

/** The next picture that satisfies `wanted`. */
async function pictureWith(socket: WebSocket, wanted: (picture: Picture) => boolean): Promise<Picture> {
  for await (const [data] of on(socket, 'message')) {
    const picture = JSON.parse(String(data)) as Picture;
    if (wanted(picture)) return picture;
  }
  throw new Error('the feed ended');
}

test('dashboard: a viewer sees the cluster at once, and every change of it', async (t) => {
  await using it = await open();
  const socket = new WebSocket(`${it.url.replace('http', 'ws')}/feed`);
  const first = await pictureWith(socket, () => true);
  t.deepEqual(first.services, [
    { id: SERVICE, name: 'web', image: 'web:1', wanted: 2, running: 0, ports: [] },
  ]);
  t.true(first.nodes[0]?.leader);
  const seen = pictureWith(socket, ({ nodes }) => (nodes[0]?.tasks.length ?? 0) > 0);
  await it.store.update({
    changes: [{ kind: 'createTask', serviceId: SERVICE, slot: 1, nodeId: NODE, desired: 512 }],
  });
  const [task] = (await seen).nodes[0]?.tasks ?? [];
  t.is(task?.name, 'web.1');
  t.true(task?.current);
  socket.close();
});

test('dashboard: what a load reports is shown beside the cluster', async (t) => {
  await using it = await open();
  const socket = new WebSocket(`${it.url.replace('http', 'ws')}/feed`);
  await once(socket, 'open');
  const seen = pictureWith(socket, ({ load }) => load !== undefined);
  const body = JSON.stringify({ sent: 10, failed: 1, versions: { 'version 1': 9 } });
  t.is((await fetch(`${it.url}/load`, { method: 'POST', body })).status, 204);
  t.deepEqual((await seen).load, { sent: 10, failed: 1, versions: { 'version 1': 9 } });
  socket.close();
});

test('dashboard: the page, its script and what the script imports are all served from here', async (t) => {
  await using it = await open();
  const page = await fetch(`${it.url}/`);
  t.is(page.headers.get('content-security-policy'), "default-src 'self'");
  const scripts = ['/app.js'];
  for (const path of scripts) {
    const response = await fetch(`${it.url}${path}`);
    t.is(response.status, 200, path);
    const imports = [...(await response.text()).matchAll(/from\s*"([^"]+)"/g)].map(
      ([, target]) => target as string,
    );
    for (const target of imports) {
      t.true(target.startsWith('/'), `${path} imports ${target}`);
      if (!scripts.includes(target)) scripts.push(target);
    }
  }
  t.deepEqual(scripts.sort(), ['/app.js', '/vendor/hooks.js', '/vendor/htm.js', '/vendor/preact.js']);
});

test('dashboard: metrics are served as Prometheus reads them', async (t) => {
  await using it = await open();
  const response = await fetch(`${it.url}/metrics`);
  t.is(response.headers.get('content-type'), 'text/plain; version=0.0.4');
  t.is(await response.text(), 'swarm_manager_leader 1\n');
});

test('dashboard: nothing can be changed through it', async (t) => {
  await using it = await open();
  t.is((await fetch(`${it.url}/`, { method: 'DELETE' })).status, 405);
  t.is((await fetch(`${it.url}/load`, { method: 'POST', body: 'x'.repeat(20_000) })).status, 413);
  t.is((await fetch(`${it.url}/load`, { method: 'POST', body: '[]' })).status, 400);
  t.is((await fetch(`${it.url}/../package.json`)).status, 404);
});
