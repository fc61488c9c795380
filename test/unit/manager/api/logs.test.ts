import test from 'ava';
import type { LogBroker, LogPiece } from '#manager/logs/broker.ts';
import { callApi } from '#proto/http/call.ts';
import type { TaskId } from '#proto/types/ids.ts';
import { placeTask } from '#test/support/cluster.ts';
import { ApiLab, node, web } from './lab.ts';

type Read = Parameters<LogBroker['read']>;

async function setUp(): Promise<{ lab: ApiLab; asked: Read[]; id: string }> {
  const asked: Read[] = [];
  const logs: Pick<LogBroker, 'read'> = {
    async *read(...args: Read): AsyncGenerator<LogPiece> {
      asked.push(args);
      const who = { taskId: 't' as TaskId, serviceId: 's' as never, nodeId: 'n' as never };
      yield { ...who, stderr: false, at: '2026-01-01T00:00:00Z', atNs: 0n, data: Buffer.from('hello\n') };
    },
  };
  const lab = await ApiLab.open({ logs });
  return { lab, asked, id: await lab.create(web()) };
}

async function raw(
  lab: ApiLab,
  target: string,
): Promise<{ status: number; type: string | undefined; text: string }> {
  const call = { method: 'GET', target, headers: {}, body: new Uint8Array() };
  const { status, headers, body } = await callApi(lab.router, call, new AbortController().signal);
  return { status, type: headers['content-type'], text: body.toString() };
}

test('the output of a service is framed, and called so from 1.42 on', async (t) => {
  const { lab, asked, id } = await setUp();
  await using _ = lab;
  const answer = await raw(
    lab,
    '/v1.44/services/web/logs?stdout=1&details=1&timestamps=1&tail=3&since=1.5&follow=0',
  );
  t.is(answer.type, 'application/vnd.docker.multiplexed-stream');
  t.is(
    answer.text.slice(8),
    '2026-01-01T00:00:00Z com.docker.swarm.node.id=n,com.docker.swarm.service.id=s,com.docker.swarm.task.id=t hello\n',
  );
  t.like(asked[0], {
    0: { serviceId: id },
    1: { stdout: true, stderr: false, follow: false, tail: 3, sinceNs: 1_500_000_000n },
  });
  t.is((await raw(lab, '/v1.41/services/web/logs?stderr=1')).type, 'application/vnd.docker.raw-stream');
});

test('the output of a terminal is one stream, as it is', async (t) => {
  const { lab } = await setUp();
  await using _ = lab;
  await lab.create(web({ Name: 'tty', TaskTemplate: { ContainerSpec: { Image: 'nginx:1', TTY: true } } }));
  const answer = await raw(lab, '/services/tty/logs?stdout=1');
  t.deepEqual(answer, { status: 200, type: 'application/vnd.docker.raw-stream', text: 'hello\n' });
});

test('a task is asked for by the beginning of its id', async (t) => {
  const { lab, asked, id } = await setUp();
  await using _ = lab;
  await lab.write(node('n1'));
  const task = await placeTask(lab.opened, { service: id, slot: 1, node: 'n1' });
  t.is((await raw(lab, `/tasks/${task.slice(0, 12)}/logs?stdout=1&tail=all&until=0`)).status, 200);
  t.deepEqual(asked[0]?.slice(0, 2), [{ taskId: task }, { stdout: true, stderr: false, follow: false }]);
});

test('what can not be asked for is refused', async (t) => {
  const { lab } = await setUp();
  await using _ = lab;
  const refusals: readonly (readonly [target: string, status: number, message: string])[] = [
    ['/services/web/logs', 400, 'Bad parameters: you must choose at least one stream'],
    ['/services/web/logs?stdout=1&tail=few', 400, 'tail value must be a positive integer or "all"'],
    ['/services/web/logs?stdout=1&tail=-1', 400, 'negative tail values not supported'],
    ['/services/web/logs?stdout=1&since=then', 400, 'invalid timestamp: then'],
    ['/services/nope/logs?stdout=1', 404, 'service nope not found'],
    ['/tasks/nope/logs?stdout=1', 404, 'task nope not found'],
  ];
  for (const [target, status, message] of refusals)
    t.deepEqual(await lab.get(target), { status, body: { message } }, target);
});
