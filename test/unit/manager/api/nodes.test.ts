import test from 'ava';
import type { Consensus } from '#manager/consensus/consensus.ts';
import type { NodeId } from '#proto/types/ids.ts';
import { ApiLab, membersOf, node, SELF } from './lab.ts';

interface Shown {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: { readonly Role: string; readonly Labels: Record<string, string> };
  readonly Status: Record<string, unknown>;
  readonly Description: Record<string, unknown>;
  readonly ManagerStatus?: Record<string, unknown>;
}

async function ids(lab: ApiLab, filters: object): Promise<unknown> {
  const { status, body } = await lab.get(`/nodes?filters=${encodeURIComponent(JSON.stringify(filters))}`);
  return status === 200 ? (body as Shown[]).map(({ ID }) => ID).sort() : body;
}

/** A manager among others, as its consensus sees them. */
async function among(
  ...nodes: readonly { readonly id: string; readonly reachable?: boolean }[]
): Promise<ApiLab> {
  const base = new ApiLab();
  const seen: Pick<Consensus, 'members' | 'status'> = membersOf({ id: SELF }, ...nodes);
  const { log } = base.opened;
  const consensus = {
    ...seen,
    leadership: () => log.leadership(),
    onLeadership: (changed: Parameters<Consensus['onLeadership']>[0]) => log.onLeadership(changed),
  };
  await base[Symbol.asyncDispose]();
  const lab = await ApiLab.open({ consensus: consensus as Consensus });
  await lab.write(...nodes.map(({ id }) => node(id, { role: 'manager' })));
  return lab;
}

test('a node shows what it is, whom it trusts, and how it manages', async (t) => {
  await using lab = await ApiLab.open();
  const { body } = await lab.get('/nodes/self');
  const shown = body as Shown;
  t.is(shown.ID, SELF);
  t.like(shown, {
    Spec: { Labels: {}, Role: 'manager', Availability: 'active' },
    Status: { State: 'ready', Addr: '10.0.0.9' },
    ManagerStatus: { Leader: true, Reachability: 'reachable', Addr: '127.0.0.1:2' },
  });
  const { TLSInfo } = shown.Description as { TLSInfo: Record<string, string> };
  t.regex(TLSInfo['TrustRoot'] ?? '', /^-----BEGIN CERTIFICATE-----/);
  t.is(
    Buffer.from(TLSInfo['CertIssuerSubject'] ?? '', 'base64').toString('hex'),
    `30133111300f06035504031308${Buffer.from('swarm-ca').toString('hex')}`,
    'a name in DER: CN=swarm-ca',
  );
  t.is(Buffer.from(TLSInfo['CertIssuerPublicKey'] ?? '', 'base64').length, 91, 'a P-256 key in DER');
});

test('a follower sees who leads; a manager that does not answer is unreachable', async (t) => {
  await using lab = await among({ id: 'm2', reachable: false });
  t.is(((await lab.get('/nodes/self')).body as Shown).ManagerStatus?.['Leader'], true);
  t.deepEqual(((await lab.get('/nodes/m2')).body as Shown).ManagerStatus, {
    Reachability: 'unreachable',
    Addr: 'm2:2377',
  });
});

test('lists are filtered by id, host name, role, membership and both kinds of labels', async (t) => {
  await using lab = await ApiLab.open();
  await lab.write(
    node('n1', { hostname: 'east-1', labels: { zone: 'a' } }),
    node('n2', { hostname: 'east-2' }),
  );
  t.deepEqual(await ids(lab, {}), [SELF, 'n1', 'n2']);
  t.deepEqual(await ids(lab, { name: ['east-'] }), ['n1', 'n2']);
  t.deepEqual(await ids(lab, { id: ['n1'] }), ['n1']);
  t.deepEqual(await ids(lab, { role: ['manager'] }), [SELF]);
  t.deepEqual(await ids(lab, { membership: ['accepted'] }), [SELF, 'n1', 'n2']);
  t.deepEqual(await ids(lab, { membership: ['pending'] }), []);
  t.deepEqual(await ids(lab, { 'node.label': ['zone=a'] }), ['n1']);
  t.deepEqual(await ids(lab, { label: ['engine=yes'], name: ['east-2'] }), ['n2']);
  t.deepEqual(await ids(lab, { role: ['king'] }), { message: "Invalid role filter: 'king'" });
  t.deepEqual(await ids(lab, { state: ['ready'] }), { message: "invalid filter 'state'" });
});

test('host names that several nodes have are ambiguous', async (t) => {
  await using lab = await ApiLab.open();
  await lab.write(node('n1', { hostname: 'twin' }), node('n2', { hostname: 'twin' }));
  t.deepEqual(await lab.get('/nodes/twin'), {
    status: 400,
    body: { message: 'node twin is ambiguous (2 matches found)' },
  });
  t.deepEqual(await lab.get('/nodes/nobody'), { status: 404, body: { message: 'node nobody not found' } });
});

test('labels and availability are changed from the version that was seen', async (t) => {
  await using lab = await ApiLab.open();
  await lab.write(node('n1'));
  const { Version, Spec } = (await lab.get('/nodes/n1')).body as Shown;
  const spec = { ...Spec, Labels: { zone: 'b' }, Availability: 'drain' };
  t.is((await lab.call('POST', `/nodes/n1/update?version=${Version.Index}`, spec)).status, 200);
  const changed = lab.view.nodes.get('n1' as NodeId);
  t.like(changed?.spec, { labels: { zone: 'b' }, availability: 'drain', role: 'worker' });
  t.is(changed?.description?.hostname, 'n1', 'the rest stays');
  t.deepEqual(await lab.call('POST', `/nodes/n1/update?version=${Version.Index}`, spec), {
    status: 500,
    body: { message: 'rpc error: code = Unknown desc = update out of sequence' },
  });
  t.deepEqual(await lab.call('POST', '/nodes/n1/update?version=1', { ...spec, Role: 'king' }), {
    status: 400,
    body: { message: 'invalid Role: "king"' },
  });
});

test('what a node says of itself does not put a change of it out of sequence', async (t) => {
  await using lab = await ApiLab.open();
  const nodeId = 'n1' as NodeId;
  const said = (state: 'ready' | 'down') =>
    lab.write({ kind: 'setNodeStatus', nodeId, status: { state, addr: '10.0.0.1' } });
  await lab.write(node('n1'));
  const drain = async (Availability: string): Promise<number> => {
    const { Version, Spec } = (await lab.get('/nodes/n1')).body as Shown;
    await said('down');
    await said('ready');
    const target = `/nodes/n1/update?version=${Version.Index}`;
    return (await lab.call('POST', target, { ...Spec, Availability })).status;
  };
  t.is(await drain('drain'), 500, 'nobody knows when its spec was changed');
  await lab.write({ kind: 'setNodeSpec', nodeId, spec: { role: 'worker', availability: 'pause' } });
  t.deepEqual([await drain('active'), await drain('drain')], [200, 200]);
  t.like(lab.view.nodes.get(nodeId), { spec: { availability: 'drain' }, status: { state: 'ready' } });
});

async function demote(lab: ApiLab, id: string): Promise<unknown> {
  const { Version, Spec } = (await lab.get(`/nodes/${id}`)).body as Shown;
  const { status, body } = await lab.call('POST', `/nodes/${id}/update?version=${Version.Index}`, {
    ...Spec,
    Role: 'worker',
  });
  return status === 200 ? 'demoted' : (body as { message: string }).message;
}

test('the last manager is not demoted, nor one whose loss would cost the quorum', async (t) => {
  await using alone = await ApiLab.open();
  t.is(await demote(alone, SELF), 'attempting to demote the last manager of the swarm');
  await using halved = await among({ id: 'm2' }, { id: 'm3', reachable: false });
  t.is(
    await demote(halved, 'm2'),
    "can't remove member from the raft: this would result in a loss of quorum",
  );
  t.is(await demote(halved, 'm3'), 'demoted', 'the one that is gone can be');
});

test('demotions asked for at once do not add up to a loss of the last manager', async (t) => {
  await using lab = await among({ id: 'm2' });
  const results = await Promise.all([demote(lab, SELF), demote(lab, 'm2')]);
  t.deepEqual(results.sort(), ['attempting to demote the last manager of the swarm', 'demoted']);
});

test('a node is removed when it is down, or by force; a manager when it has been demoted', async (t) => {
  await using lab = await ApiLab.open();
  await lab.write(node('n1'), node('n2', { status: { state: 'down' } }));
  t.deepEqual(await lab.call('DELETE', '/nodes/n1'), {
    status: 400,
    body: { message: "node n1 is not down and can't be removed" },
  });
  t.is((await lab.call('DELETE', '/nodes/n2')).status, 200);
  t.is((await lab.call('DELETE', '/nodes/n1?force=1')).status, 200);
  t.deepEqual(await ids(lab, {}), [SELF]);
  t.deepEqual(await lab.call('DELETE', `/nodes/${SELF}?force=1`), {
    status: 400,
    body: {
      message: `node ${SELF} is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal`,
    },
  });
});
