import test from 'ava';
import { controlService } from '#manager/api/forward.ts';
import { clusterNetworks } from '#manager/api/networks.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { callApi } from '#proto/http/call.ts';
import { NotLeaderError } from '#proto/rpc/status.ts';
import type { RpcDialer } from '#proto/rpc/types.ts';
import type { NodeId } from '#proto/types/ids.ts';
import { ApiLab, web } from './lab.ts';

const LEADER = {
  raftId: 2,
  nodeId: 'leader' as NodeId,
  raftAddr: 'leader:1',
  controlAddr: 'leader:2377',
  learner: false,
};
const LATER = { ...LEADER, raftId: 3, nodeId: 'later' as NodeId, controlAddr: 'later:2377' };

type Dialer = Pick<RpcDialer, 'client'>;
type Calls = { readonly addr: string; readonly target: string }[];

/** Reaches managers by address; what is not there can't be reached. Keeps what was asked of whom. */
function dialerTo(managers: Readonly<Record<string, ApiLab>>, calls: Calls = []): Dialer {
  const client = (_service: string, addr: string, expect: string): unknown => ({
    call: async (call: {
      method: string;
      target: string;
      headers: Record<string, string>;
      body: Uint8Array;
    }) => {
      calls.push({ addr, target: call.target });
      const lab = managers[addr];
      if (lab === undefined || expect !== 'manager')
        throw new ShoalError('UNAVAILABLE', `${addr} does not answer`);
      const { store, consensus } = lab.parts;
      const run = (forwarded: Parameters<typeof callApi>[1], signal: AbortSignal) =>
        callApi(lab.router, forwarded, signal);
      const info = { peerAddr: 'x', signal: new AbortController().signal };
      return controlService({ store, consensus, run }).call(call, info);
    },
  });
  return { client } as Dialer;
}

/** A follower of somebody who leads. */
async function follower(dialer: Dialer, leader = LEADER): Promise<ApiLab> {
  const lab = await ApiLab.open({ dialer });
  lab.opened.log.loseLeadership(leader);
  return lab;
}

test('a change on a follower is made by the leader, whose reply is handed back', async (t) => {
  const calls: Calls = [];
  await using leader = await ApiLab.open();
  await using lab = await follower(dialerTo({ 'leader:2377': leader }, calls));
  const auth = Buffer.from('{"username":"me"}').toString('base64url');
  const made = await lab.call('POST', '/v1.44/services/create', web(), { 'x-registry-auth': auth });
  t.is(made.status, 201);
  t.is(leader.view.services.byName('web')?.id, (made.body as { ID: string }).ID as never);
  t.deepEqual(leader.images.asked, [{ reference: 'nginx:1', auth: { username: 'me' } }]);
  t.is(lab.view.services.byName('web'), undefined, 'it comes to the follower by the log');
  t.deepEqual(await lab.call('POST', '/services/create', web()), {
    status: 409,
    body: { message: 'name conflicts with an existing object: service web already exists' },
  });
  t.deepEqual(await lab.call('DELETE', '/services/web?x=1'), { status: 200, body: undefined });
  t.deepEqual(calls.at(-1), { addr: 'leader:2377', target: '/services/web?x=1' });
});

test('networks are made and removed by the leader, too', async (t) => {
  await using leader = await ApiLab.open();
  await using lab = await follower(dialerTo({ 'leader:2377': leader }));
  const networks = clusterNetworks(lab.modules);
  const { Id } = await networks.create({ Name: 'front', Driver: 'overlay' });
  t.is(leader.view.networks.byName('front')?.id, Id as never);
  const error = await t.throwsAsync(networks.create({ Name: 'front', Driver: 'overlay' }));
  t.like(error, { code: 'CONFLICT', message: 'network with name front already exists' });
  t.deepEqual(await networks.prune(new URLSearchParams()), ['front']);
  await networks.create({ Name: 'other' });
  await networks.remove('other');
  t.is(leader.view.networks.byName('other'), undefined);
  t.like(await t.throwsAsync(networks.remove('other')), {
    code: 'NOT_FOUND',
    message: 'network other not found',
  });
});

test('who was said to lead and does not is asked again when the lead has changed', async (t) => {
  const calls: Calls = [];
  await using old = await ApiLab.open();
  await using later = await ApiLab.open();
  old.opened.log.loseLeadership();
  await using lab = await follower(dialerTo({ 'leader:2377': old, 'later:2377': later }, calls));
  const made = lab.call('POST', '/services/create', web());
  await lab.opened.clock.advance(1000);
  t.is(later.view.services.byName('web'), undefined);
  lab.opened.log.loseLeadership(LATER);
  t.is((await made).status, 201);
  t.truthy(later.view.services.byName('web'));
  t.is(calls.at(-1)?.addr, 'later:2377');
});

test('a manager that comes to lead while a request waits answers it itself', async (t) => {
  await using lab = await ApiLab.open();
  lab.opened.log.loseLeadership();
  const made = lab.call('POST', '/services/create', web());
  await lab.opened.clock.advance(500);
  lab.opened.log.lead();
  t.is((await made).status, 201);
});

test('a change that the lead was lost over is made by who leads now, once', async (t) => {
  const calls: Calls = [];
  await using later = await ApiLab.open();
  await using lab = await ApiLab.open({ dialer: dialerTo({ 'later:2377': later }, calls) });
  lab.opened.log.hold();
  const made = lab.call('POST', '/services/create', web());
  await lab.opened.clock.advance(10);
  lab.opened.log.loseLeadership(LATER);
  t.is((await made).status, 201);
  t.truthy(later.view.services.byName('web'));
  t.is(lab.view.services.byName('web'), undefined);
  t.is(calls.length, 1);
});

test('a leader that loses the lead over what was handed to it says so, and nothing has changed', async (t) => {
  const calls: Calls = [];
  await using old = await ApiLab.open();
  await using later = await ApiLab.open();
  await using lab = await follower(dialerTo({ 'leader:2377': old, 'later:2377': later }, calls));
  old.opened.log.hold();
  const made = lab.call('POST', '/services/create', web());
  await lab.opened.clock.advance(10);
  old.opened.log.loseLeadership(LATER);
  lab.opened.log.loseLeadership(LATER);
  await lab.opened.clock.advance(300);
  t.is((await made).status, 201);
  t.is(old.view.services.byName('web'), undefined);
  t.truthy(later.view.services.byName('web'));
});

test('without a leader a request waits for the length of an election, and then says so', async (t) => {
  await using lab = await ApiLab.open();
  lab.opened.log.loseLeadership();
  const made = lab.call('POST', '/services/create', web());
  await lab.opened.clock.advance(10_000);
  t.like(await made, { status: 503 });
  t.regex(JSON.stringify((await made).body), /The swarm does not have a leader/);
});

test('a leader that can not be reached is said so, and the request is not sent twice', async (t) => {
  const calls: Calls = [];
  await using lab = await follower(dialerTo({}, calls));
  t.deepEqual(await lab.call('POST', '/services/create', web()), {
    status: 503,
    body: { message: 'leader:2377 does not answer' },
  });
  t.is(calls.length, 1);
});

test('a request that was handed on is not handed on again', async (t) => {
  const calls: Calls = [];
  await using lab = await follower(dialerTo({}, calls));
  const answer = await lab.call('POST', '/services/create', web(), { 'shoal-forwarded': '1' });
  t.is(answer.status, 503);
  t.deepEqual(calls, []);
});

test('who does not lead refuses what is handed to it, and says who does', async (t) => {
  await using lab = await follower(dialerTo({}), LATER);
  const { store, consensus } = lab.parts;
  const service = controlService({ store, consensus, run: () => Promise.reject(new Error('was run')) });
  const info = { peerAddr: 'x', signal: new AbortController().signal };
  const call = { method: 'GET', target: '/', headers: {}, body: new Uint8Array() };
  const error = await t.throwsAsync(service.call(call, info), { instanceOf: NotLeaderError });
  t.is((error as NotLeaderError).leaderAddr, 'later:2377');
});

test('the leader tells how far it has come, once that is certain', async (t) => {
  await using lab = await ApiLab.open();
  const { store, consensus } = lab.parts;
  const service = controlService({ store, consensus, run: () => Promise.reject(new Error('was run')) });
  const info = { peerAddr: 'x', signal: new AbortController().signal };
  t.deepEqual(await service.readIndex({}, info), { index: lab.view.version });
  lab.opened.log.loseLeadership();
  await t.throwsAsync(service.readIndex({}, info));
});

test('what only looks is answered by every manager itself', async (t) => {
  const calls: Calls = [];
  await using lab = await ApiLab.open({ dialer: dialerTo({}, calls) });
  await lab.create(web());
  t.is((await lab.get('/services/web')).status, 200);
  t.deepEqual(calls, []);
});
