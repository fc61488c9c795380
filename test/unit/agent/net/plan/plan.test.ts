import test from 'ava';
import { type Change, difference } from '#agent/net/plan/change.ts';
import { instanceNames } from '#agent/net/plan/names.ts';
import { makePlan, type Plan, type PlanInput } from '#agent/net/plan/plan.ts';
import { Cluster } from '#test/support/net/cluster.ts';
import { BRIDGE, idOf, inputOf, onBridge, onOverlay } from '#test/support/net/plan-input.ts';

const HERE = onOverlay('a', '10.0.1.11', 1);

/** A service `web` with a task on each of these nodes. */
function webOn(nodes: readonly number[], mode: 'vip' | 'dnsrr' = 'vip'): Cluster {
  const cluster = new Cluster([1, 2, 3]);
  cluster.service(
    'web',
    '10.0.1.200',
    [{ publishedPort: 8080 }, { publishedPort: 53, protocol: 'udp' }],
    mode,
  );
  for (const node of nodes) member(cluster, 'web', node);
  return cluster;
}

function member(cluster: Cluster, service: string, node: number, active = true): void {
  const meshAddr = `100.64.${16 * node}.16`;
  const task = { id: `t${node}` as never, name: `web.${node}`, node, address: `10.0.1.${10 * node + 1}` };
  cluster.endpoint(service, { ...task, sandbox: { meshAddr } }, active);
}

/** Everything a plan wants in a namespace, as text. */
function texts(plan: Plan, namespace: string): string[] {
  return [...plan.fragments.values()].flatMap((fragment) => {
    const part = fragment.get(namespace);
    return [
      ...(part?.items ?? []).map((item) => item.set ?? ''),
      ...(part?.chains ?? []).flatMap((chain) => chain.rules.map((rule) => `${chain.name}: ${rule}`)),
      ...(part?.elements ?? []).map((element) => `${element.set}[${element.key}] = ${element.value ?? ''}`),
    ];
  });
}

function changeFrom(before: PlanInput | undefined, after: PlanInput): Change {
  const old = before === undefined ? undefined : makePlan(before);
  const now = makePlan(after, old);
  return difference(old?.fragments ?? new Map(), now.fragments, new Map(), 'shoal');
}

function commands(change: Change, namespace: string): readonly string[] {
  const table = change.namespaces.get(namespace)?.table;
  return table !== undefined && 'commands' in table ? table.commands : [];
}

test('vip: one chain spreads over active tasks, and the router owns the address', (t) => {
  const router = texts(makePlan(inputOf(webOn([1, 2]).stateFor(1), [HERE])), 'net-net1');
  t.true(router.includes('s_web: dnat to numgen inc mod 2 map { 0 : 10.0.1.11, 1 : 10.0.1.21 }'));
  t.true(router.includes('vips[10.0.1.200] = goto s_web'));
  t.true(router.includes('route replace local 10.0.1.200 dev lo table local'));
});

test('vip: a task that leaves keeps its route and gets nothing new; without tasks the chain stays, empty', (t) => {
  const cluster = webOn([1, 2]);
  member(cluster, 'web', 2, false);
  const leaving = texts(makePlan(inputOf(cluster.stateFor(1), [HERE])), 'net-net1');
  t.true(leaving.includes('s_web: dnat to 10.0.1.11'));
  t.true(leaving.includes('route replace 10.0.1.21 via 169.254.0.2 dev vx0 onlink table main'));
  const empty = makePlan(inputOf(webOn([]).stateFor(1), [HERE]));
  t.true(texts(empty, 'net-net1').includes('vips[10.0.1.200] = goto s_web'));
  t.false(texts(empty, 'net-net1').some((text) => text.startsWith('s_web:')));
});

test('dnsrr: no chain and no address of its own', (t) => {
  const router = texts(makePlan(inputOf(webOn([1], 'dnsrr').stateFor(1), [HERE])), 'net-net1');
  t.false(router.some((text) => text.includes('s_web') || text.includes('10.0.1.200')));
});

test('ports: TCP goes to the bucket of this node, UDP to the first address', (t) => {
  const node = texts(makePlan(inputOf(webOn([2, 3]).stateFor(1))), 'node');
  const tcp =
    'meta l4proto tcp dnat to numgen inc mod 2 map { 0 : 100.64.32.17 . 80, 1 : 100.64.48.17 . 80 }';
  const udp =
    'meta l4proto udp dnat to numgen inc mod 2 map { 0 : 100.64.32.16 . 80, 1 : 100.64.48.16 . 80 }';
  t.true(node.includes(`p_web_tcp_8080: ${tcp}`));
  t.true(node.includes(`p_web_udp_53: ${udp}`));
  t.true(node.includes('ports[tcp . 8080] = goto p_web_tcp_8080'));
});

test('ports: what a container of this node has is not taken by a service', (t) => {
  const holder = { ...onBridge('b', '172.18.0.2') };
  const ports = [{ protocol: 'tcp' as const, containerPort: 80, hostPort: 8080, hostIp: '' }];
  const plan = makePlan(inputOf(webOn([2]).stateFor(1), [{ ...holder, ports }], [BRIDGE]));
  const owners = texts(plan, 'node').filter((text) => text.startsWith('ports[tcp . 8080]'));
  t.deepEqual(owners, ['ports[tcp . 8080] = goto c_bbbbbbbbbbbb_0']);
});

test('mesh: without a mesh index, or outside a cluster, there is no overlay networking', (t) => {
  const state = webOn([1, 2]).stateFor(1);
  const unplaced = makePlan(inputOf({ ...state, self: { ...state.self, meshIndex: 0 } }, [HERE]));
  t.false(texts(unplaced, 'node').some((text) => text.includes('shoal-mesh')));
  t.deepEqual(texts(unplaced, 'net-net1'), []);
});

test('instances: marks, route tables, rules and devices of two of them never meet', (t) => {
  const input = inputOf(webOn([2]).stateFor(1), [HERE]);
  const other = { ...input, facts: { ...input.facts, names: instanceNames('blue') } };
  const telling = (plan: Plan): string[] =>
    texts(plan, 'node').filter((text) => /^rule|macmark|table \d|dev shoal|dev mesh/.test(text));
  const first = telling(makePlan(input));
  t.true(first.length > 8);
  t.deepEqual(
    telling(makePlan(other)).filter((text) => first.includes(text)),
    [],
  );
});

test('smallest change: nothing for the same inputs, one transaction for each namespace of a changed service', (t) => {
  const cluster = webOn([1, 2]);
  cluster.service('other', '10.0.1.201', [{ publishedPort: 8081 }]);
  const before = inputOf(cluster.stateFor(1), [HERE]);
  t.is(changeFrom(before, before).namespaces.size, 0);
  member(cluster, 'web', 3);
  const change = changeFrom(before, inputOf(cluster.stateFor(1), [HERE]));
  t.deepEqual([...change.namespaces.keys()].sort(), ['net-net1', 'node']);
  t.true(commands(change, 'net-net1').every((command) => command.includes('s_web')));
  t.is(change.namespaces.get('net-net1')?.set.length, 1, 'the route to the new task');
  t.deepEqual(change.namespaces.get('node')?.set, []);
});

test('smallest change: fragments whose inputs are the same objects are the same objects', (t) => {
  const cluster = webOn([1, 2]);
  const first = makePlan(inputOf(cluster.stateFor(1), [HERE]));
  const second = makePlan(inputOf({ ...cluster.stateFor(1) }, [HERE]), first);
  t.is(second.fragments.get('service:web'), first.fragments.get('service:web'));
  t.is(second.fragments.get(`sandbox:${idOf('a')}`), first.fragments.get(`sandbox:${idOf('a')}`));
});

test('smallest change: a port that moves from one service to another is deleted before it is added', (t) => {
  const cluster = webOn([2]);
  const before = inputOf(cluster.stateFor(1));
  cluster.service('web', '10.0.1.200', []);
  cluster.service('a-successor', '10.0.1.202', [{ publishedPort: 8080 }]);
  const list = commands(changeFrom(before, inputOf(cluster.stateFor(1))), 'node');
  const removed = list.findIndex((one) => one.startsWith('delete element') && one.includes('tcp . 8080'));
  const added = list.findIndex((one) => one.startsWith('add element') && one.includes('tcp . 8080'));
  const gone = list.findIndex((one) => one.startsWith('delete chain') && one.includes('p_web_tcp_8080'));
  t.true(0 <= removed && removed < added && added < gone, list.join('\n'));
});

test('routers: one is made with the first container of its network, and goes with the last', (t) => {
  const state = webOn([2]).stateFor(1);
  const come = changeFrom(inputOf(state), inputOf(state, [HERE]));
  t.true(come.namespaces.get('net-net1')?.fresh);
  t.true('replace' in (come.namespaces.get('net-net1')?.table ?? {}));
  const go = changeFrom(inputOf(state, [HERE]), inputOf(state));
  t.deepEqual(go.remove, [idOf('a'), 'net-net1']);
  t.deepEqual(
    go.namespaces.get('net-net1')?.unset.map((item) => item.unset),
    ['link del dev vx0'],
    'its VXLAN device goes at once, because its id may be wanted again',
  );
});

test('routers: the device comes before the routes over it, also when the services were known before', (t) => {
  const state = webOn([1, 2]).stateFor(1);
  const change = changeFrom(inputOf(state, []), inputOf(state, [HERE])).namespaces.get('net-net1');
  const commands = (change?.set ?? []).map(({ item }) => item.set ?? '');
  const device = commands.findIndex((command) => command.startsWith('link set dev vx0'));
  const routes = commands.flatMap((command, i) => (command.includes('dev vx0 onlink') ? [i] : []));
  t.true(device >= 0 && routes.length > 0);
  t.true(
    routes.every((route) => device < route),
    commands.join('\n'),
  );
});

test('routers: a network that managers forgot lives on with its last container', (t) => {
  const cluster = webOn([1, 2]);
  const before = inputOf(cluster.stateFor(1), [HERE]);
  cluster.networks.clear();
  t.deepEqual(changeFrom(before, inputOf(cluster.stateFor(1), [HERE])).remove, []);
});

test('sandboxes: a bridge’s link is taken away at once, because its address may be another’s a moment later', (t) => {
  const holder = onBridge('b', '172.18.0.2');
  const change = changeFrom(inputOf(undefined, [holder], [BRIDGE]), inputOf(undefined, [], [BRIDGE]));
  t.true(change.namespaces.get('node')?.unset.some((item) => item.unset === 'link del dev vbbbbbbbbbb-0'));
});

test('sandboxes: a network that a container leaves takes its interface along; nothing on it is taken away by hand', (t) => {
  const state = webOn([1, 2]).stateFor(1);
  const both = onBridge('b', '172.18.0.2');
  const attachments = [...both.attachments, { ...(HERE.attachments[0] as object), number: 1 }] as never;
  const change = changeFrom(
    inputOf(state, [{ ...both, attachments, slot: 3 }], [BRIDGE]),
    inputOf(state, [both], [BRIDGE]),
  );
  t.deepEqual(change.namespaces.get(idOf('b'))?.unset, []);
  t.true(change.namespaces.get('net-net1')?.unset.some((item) => item.unset === 'link del dev vx0'));
  t.true(change.namespaces.get('node')?.unset.some((item) => item.unset === 'link del dev gbbbbbbbbbbbb'));
});

test('adoption: what is found is compared as it is, and everything else of the namespace is made', (t) => {
  const plan = makePlan(inputOf(webOn([1, 2]).stateFor(1), [HERE]));
  const wanted = [...plan.fragments.values()].flatMap((fragment) => fragment.get('net-net1')?.items ?? []);
  const stray = { key: 'route main 10.9.9.9', value: 'x', by: 'ip' as const, unset: 'route del 10.9.9.9' };
  const missing = wanted.find((item) => item.key.startsWith('neigh vx0'));
  const found = [...wanted.filter((item) => item !== missing), stray];
  const change = difference(new Map(), plan.fragments, new Map([['net-net1', found]]), 'shoal');
  const router = change.namespaces.get('net-net1');
  t.false(router?.fresh);
  t.deepEqual(router?.unset, [stray]);
  t.deepEqual(
    router?.set.map((one) => one.item),
    [missing],
  );
});

test('adoption: a link that can’t be changed is made anew, with all that was on it', (t) => {
  const plan = makePlan(inputOf(webOn([1, 2]).stateFor(1), [HERE]));
  const wanted = [...plan.fragments.values()].flatMap((fragment) => fragment.get('net-net1')?.items ?? []);
  const found = wanted.map((item) =>
    item.key === 'link vx0' ? { ...item, fixed: 'vxlan 9', value: '' } : item,
  );
  const change = difference(new Map(), plan.fragments, new Map([['net-net1', found]]), 'shoal');
  const router = change.namespaces.get('net-net1');
  t.deepEqual(
    router?.remade.map((item) => item.key),
    ['link vx0'],
  );
  const made = router?.set.map((one) => one.item) ?? [];
  t.true(made.some((item) => item.key === 'link vx0') && router?.set[0]?.fresh);
  t.deepEqual(
    made.map((item) => item.key),
    wanted.filter((item) => item.key === 'link vx0' || item.device === 'vx0').map((item) => item.key),
  );
});

test('bad data: what is no address is in no command', (t) => {
  const cluster = webOn([1, 2]);
  cluster.service('odd', '; flush ruleset', []);
  const plan = makePlan(inputOf(cluster.stateFor(1), [HERE]));
  t.false(texts(plan, 'net-net1').some((text) => text.includes('flush') || text.includes('s_odd')));
});
