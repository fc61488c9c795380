import test from 'ava';
import type { Container } from '#agent/core/container.ts';
import {
  linkedHosts,
  linkedNow,
  linkedOrThrow,
  linkNames,
  linkVariables,
  namesByLinks,
  parseLink,
  plannedLinks,
  removeLink,
} from '#agent/core/links.ts';
import type { ContainerSpec } from '#agent/core/record.ts';
import { ShoalError } from '#proto/base/errors.ts';

const DB = {
  id: 'd'.repeat(64),
  name: 'db',
  spec: {
    id: 'd'.repeat(64),
    name: 'db',
    config: {
      Hostname: 'dddddddddddd',
      Env: ['PATH=/bin', 'PASSWORD=a=b', 'HOME=/'],
      ExposedPorts: { '53/udp': {}, '6432/tcp': {}, '5432/tcp': {} },
    },
    endpoints: { bridge: { networkId: 'n', config: null } },
  },
  run: { sandbox: { attachments: [{ networkId: 'n', address: '172.17.0.5/16' }] } },
} as unknown as Container;

const containers = {
  get: (id: string) => (id === DB.id ? DB : undefined),
  find: (name: string) => {
    if (name === 'db' || name === DB.id) return DB;
    throw new ShoalError('NOT_FOUND', `No such container: ${name}`);
  },
};
const WEB = { name: 'web', links: [{ containerId: DB.id, alias: 'my-db' }] };

test('a link is a name, perhaps with an alias, or what another engine showed', (t) => {
  t.deepEqual(parseLink('db'), { name: 'db', alias: 'db' });
  t.deepEqual(parseLink('db:x'), { name: 'db', alias: 'x' });
  t.deepEqual(parseLink('/db:/web/x'), { name: 'db', alias: 'x' });
  for (const wrong of ['', 'a:b:c', ':x', 'a:'])
    t.throws(() => parseLink(wrong), { message: `bad format for links: ${wrong}` });
  t.deepEqual(linkNames(['db:x', 'y']), { x: 'db', y: 'y' });
});

test('links are of the default bridge alone, and to somebody', (t) => {
  t.deepEqual(plannedLinks({ Links: ['db:my-db'] }, containers), WEB.links);
  t.deepEqual(plannedLinks({ Links: ['db'], NetworkMode: 'mine' }, containers), []);
  t.throws(() => plannedLinks({ Links: ['no'] }, containers), {
    message: 'could not get container for no: No such container: no',
  });
});

test('a container finds those it links to by their address, and is not started without them', (t) => {
  const linked = linkedOrThrow(WEB, containers);
  t.deepEqual(linkedHosts(linked), [{ address: '172.17.0.5', names: ['my-db', 'dddddddddddd', 'db'] }]);
  const none = { get: () => ({ ...DB, run: {} }) as unknown as Container };
  t.deepEqual(linkedNow(WEB, none), []);
  t.throws(() => linkedOrThrow(WEB, none), {
    message: 'Cannot link to a non running container: /db AS /web/my-db',
  });
});

test('variables tell the ports, the lowest of TCP first, and the environment but for what everybody has', (t) => {
  const variables = linkVariables('web', linkedNow(WEB, containers));
  t.is(variables[0], 'MY_DB_PORT=tcp://172.17.0.5:5432');
  t.true(variables.includes('MY_DB_PORT_53_UDP_ADDR=172.17.0.5'));
  t.true(variables.includes('MY_DB_PORT_6432_TCP=tcp://172.17.0.5:6432'));
  t.deepEqual(variables.slice(-2), ['MY_DB_NAME=/web/my-db', 'MY_DB_ENV_PASSWORD=a=b']);
});

test('a link is a name of the other one until it is removed', (t) => {
  let spec = WEB as unknown as ContainerSpec;
  const web = {
    get spec() {
      return spec;
    },
    updateSpec: (change: Partial<ContainerSpec>) => {
      spec = { ...spec, ...change };
    },
  } as unknown as Container;
  const all = { all: () => [web], find: () => web };
  t.deepEqual(namesByLinks(all).get(DB.id), ['web/my-db']);
  t.throws(() => removeLink(all, 'web/other'), { message: 'No such link: web/other' });
  removeLink(all, '/web/my-db');
  t.is(namesByLinks(all).size, 0);
});
