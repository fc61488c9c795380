import test from 'ava';
import { controlService } from '#manager/api/forward.ts';
import { LogBroker } from '#manager/logs/broker.ts';
import { systemClock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { nullLog } from '#proto/base/log.ts';
import { seededRandom } from '#proto/base/random.ts';
import { callApi } from '#proto/http/call.ts';
import { openDialer } from '#proto/rpc/client.ts';
import { listenRpc } from '#proto/rpc/server.ts';
import type { Implementation, RpcDialer, RpcServer } from '#proto/rpc/types.ts';
import type { NodeId, ServiceId } from '#proto/types/ids.ts';
import { TaskState } from '#proto/types/states.ts';
import { testCa } from '#test/support/certificates.ts';
import { descriptionOf, placeTask, service, taskStatusIs } from '#test/support/cluster.ts';
import { openTestStore } from '#test/support/local-log.ts';
import { ApiLab, web } from '../../unit/manager/api/lab.ts';

/* What managers ask of each other and of nodes, over real connections on the loopback. */

interface Wire extends AsyncDisposable {
  readonly server: RpcServer;
  readonly addr: string;
  readonly dialer: RpcDialer;
}

async function wire(): Promise<Wire> {
  const node = await (await testCa()).node('manager');
  await using stack = new AsyncDisposableStack();
  const modules = { identity: node.identity, clock: systemClock, log: nullLog };
  const server = stack.use(await listenRpc({ host: '127.0.0.1', port: 0, stopGraceMs: 100 }, modules));
  const dialer = stack.use(openDialer({}, modules));
  const stop = stack.move();
  return {
    server,
    addr: `127.0.0.1:${server.port}`,
    dialer,
    [Symbol.asyncDispose]: () => stop.disposeAsync(),
  };
}

test('a request that is handed to the leader over the wire comes back whole', async (t) => {
  await using net = await wire();
  await using leader = await ApiLab.open();
  const { store, consensus } = leader.parts;
  const run: Parameters<typeof controlService>[0]['run'] = (call, signal) =>
    callApi(leader.router, call, signal);
  net.server.add('Control', 'manager', controlService({ store, consensus, run }));
  await using lab = await ApiLab.open({ dialer: net.dialer });
  lab.opened.log.loseLeadership({
    raftId: 2,
    nodeId: 'leader' as NodeId,
    raftAddr: net.addr,
    controlAddr: net.addr,
    learner: false,
  });
  const auth = Buffer.from('{"username":"me"}').toString('base64url');
  const made = await lab.call('POST', '/services/create', web({ Labels: { ü: '🐟' } }), {
    'x-registry-auth': auth,
  });
  t.is(made.status, 201);
  t.deepEqual(leader.view.services.byName('web')?.spec.labels, { ü: '🐟' });
  t.deepEqual(leader.images.asked[0]?.auth, { username: 'me' });
  t.deepEqual(await lab.call('POST', '/services/create', web()), {
    status: 409,
    body: { message: 'name conflicts with an existing object: service web already exists' },
  });
  t.deepEqual(await lab.call('DELETE', '/services/web'), { status: 200, body: undefined });
  leader.opened.log.loseLeadership();
  const late = lab.call('DELETE', '/services/other');
  await t.throwsAsync(net.dialer.client('Control', net.addr, 'manager').readIndex({}));
  lab.opened.log.lead();
  t.deepEqual(await late, { status: 404, body: { message: 'service other not found' } });
});

/** A node whose tasks say two things and then, when followed, are silent. */
function talking(ended: (taskId: string) => void): Implementation<'NodeLogs'> {
  return {
    async *read({ taskId, follow, tail }, { signal }) {
      if (taskId === '') throw new ShoalError('NOT_FOUND', 'no task');
      const lines = ['one\n', 'two\n'].slice(tail < 0 ? 0 : -tail);
      yield {
        records: lines.map((text, at) => ({
          stderr: at === 1,
          at: `2026-01-01T00:00:0${at}Z`,
          data: Buffer.from(text),
        })),
      };
      if (follow) await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      ended(taskId);
    },
  };
}

test('the output of tasks comes over the wire, and a reader that leaves ends what was begun for it', async (t) => {
  await using net = await wire();
  const ended = Promise.withResolvers<string>();
  net.server.add('NodeLogs', 'node', talking(ended.resolve));
  await using opened = openTestStore();
  const nodeId = 'n1' as NodeId;
  const spec = { role: 'worker', availability: 'active' } as const;
  const description = { ...descriptionOf('n1'), peerAddr: net.addr };
  const node = { id: nodeId, spec, role: 'worker', status: { state: 'ready' }, description } as const;
  await opened.store.update({ changes: [{ kind: 'putNode', node }, service('web')] });
  const task = await placeTask(opened, { service: 'web', slot: 1, node: 'n1' });
  await opened.store.update({ changes: [taskStatusIs(task, TaskState.Running)] });
  const modules = { store: opened.store, dialer: net.dialer, clock: systemClock, random: seededRandom(1) };
  const broker = new LogBroker(modules);
  const opts = { stdout: true, stderr: true, follow: false };

  const told: string[] = [];
  for await (const piece of broker.read({ serviceId: 'web' as ServiceId }, { ...opts, tail: 1 }))
    if ('data' in piece) told.push(Buffer.from(piece.data).toString());
  t.deepEqual(told, ['two\n']);
  t.is(await ended.promise, task);

  const left = Promise.withResolvers<string>();
  net.server.remove('NodeLogs');
  net.server.add('NodeLogs', 'node', talking(left.resolve));
  for await (const piece of broker.read({ serviceId: 'web' as ServiceId }, { ...opts, follow: true })) {
    t.true('data' in piece);
    break;
  }
  t.is(await left.promise, task);
});
