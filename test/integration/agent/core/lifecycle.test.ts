import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { EngineEvent } from '#agent/core/events.ts';
import { EngineLab, traces } from '#test/support/engine-lab.ts';
import { patience } from '#test/support/wait-for.ts';

let lab: EngineLab;

test.before(async () => {
  lab = await EngineLab.open('lifecycle');
});

test.after.always(async (t) => {
  await lab[Symbol.asyncDispose]();
  t.deepEqual(traces(lab.instance), [], 'nothing is left on the machine');
});

const TRAP = ['sh', '-c', 'trap "echo got; exit 3" TERM; echo up; while :; do sleep 0.05; done'];

/** Actions on a container from now on, in order. */
function watched(id: string): string[] {
  const actions: string[] = [];
  lab.engine.parts.events.on((event: EngineEvent) => {
    if (event.id === id) actions.push(event.action);
  });
  return actions;
}

test('stop: the signal first, the exit code of who heeds it, and the events in order', async (t) => {
  const { containers } = lab.engine;
  const id = await lab.create({ Cmd: TRAP });
  const actions = watched(id);
  await containers.start(id);
  await lab.untilSaid(id, 'up');
  await containers.stop(id);
  t.is(containers.summary(id).state.ExitCode, 3);
  t.deepEqual(actions, ['start', 'kill', 'die', 'stop']);
  await t.throwsAsync(containers.stop(id), { code: 'NOT_MODIFIED' } as object);
});

test('stop: who does not heed it is killed after the grace period', async (t) => {
  const { containers } = lab.engine;
  const id = await lab.run({ Cmd: ['sh', '-c', 'trap "" TERM; echo up; sleep 1000'] });
  await lab.untilSaid(id, 'up');
  await containers.stop(id, { graceMs: 100 });
  t.is(containers.summary(id).state.ExitCode, 137);
});

test('kill: another signal than the one that stops leaves it running', async (t) => {
  const { containers } = lab.engine;
  const id = await lab.run({
    Cmd: ['sh', '-c', 'trap "echo usr" USR1; echo up; while :; do sleep 0.05; done'],
  });
  await lab.untilSaid(id, 'up');
  await containers.kill(id, 'USR1');
  await lab.untilSaid(id, 'usr');
  t.true(containers.summary(id).state.Running);
  await t.throwsAsync(containers.kill(id, 'NOSIG'), { message: 'invalid signal: NOSIG' });
});

test('restart: a new process, the same container', async (t) => {
  const { containers } = lab.engine;
  const id = await lab.run({ Cmd: TRAP });
  await lab.untilSaid(id, 'up');
  const before = containers.summary(id).state;
  await containers.restart(id, { graceMs: 5_000 });
  const after = containers.summary(id).state;
  t.true(after.Running);
  t.not(after.Pid, before.Pid);
  t.not(after.StartedAt, before.StartedAt);
});

test('pause: its processes stand still until they are woken; stopping it works all the same', async (t) => {
  const { containers } = lab.engine;
  const id = await lab.run({ Cmd: TRAP });
  await lab.untilSaid(id, 'up');
  await containers.pause(id);
  t.is(containers.summary(id).state.Status, 'paused');
  await t.throwsAsync(containers.pause(id), { code: 'CONFLICT' } as object);
  await containers.unpause(id);
  await t.throwsAsync(containers.unpause(id), { message: /is not paused/ });
  await containers.pause(id);
  await containers.stop(id);
  t.is(containers.summary(id).state.ExitCode, 3);
});

test('restart policy: on-failure tries as often as it says', async (t) => {
  const { containers } = lab.engine;
  const policy = { Name: 'on-failure', MaximumRetryCount: 2 };
  const id = await lab.run({ Cmd: ['false'] }, { RestartPolicy: policy });
  const container = containers.find(id);
  await container.until(() => container.run.status === 'exited', patience());
  t.is(container.run.restartCount, 2);
});

test('restart policy: always starts again what ends, but not what somebody stopped', async (t) => {
  const { containers } = lab.engine;
  const id = await lab.run({ Cmd: ['sleep', '1000'] }, { RestartPolicy: { Name: 'always' } });
  const container = containers.find(id);
  process.kill(container.run.init?.pid as number, 'SIGKILL');
  await container.until(
    () => container.run.restartCount === 1 && container.run.status === 'running',
    patience(),
  );
  await containers.stop(id, { graceMs: 0 });
  t.is(container.run.status, 'exited');
});

test('remove: refused while it runs, forced it goes with its anonymous volumes alone', async (t) => {
  const { containers, parts } = lab.engine;
  const id = await lab.run({ Cmd: ['sleep', '1000'], Volumes: { '/own': {} } }, { Binds: ['named:/named'] });
  const own = containers.find(id).spec.mounts.find(({ anonymous }) => anonymous)?.name as string;
  await t.throwsAsync(containers.remove(id), {
    message: /container is running: stop the container before removing/,
  });
  await containers.remove(id, { force: true, volumes: true });
  t.throws(() => containers.find(id), { message: `No such container: ${id}` });
  t.throws(() => parts.volumes.find(own));
  t.notThrows(() => parts.volumes.find('named'));
});

test('auto-remove: waiting for its removal gives its exit code, and nothing is left of it', async (t) => {
  const { containers, parts } = lab.engine;
  const id = await lab.create({ Cmd: ['sh', '-c', 'exit 7'] }, { AutoRemove: true });
  const gone = containers.wait(id, 'removed');
  await containers.start(id);
  t.is((await gone).exitCode, 7);
  t.throws(() => containers.find(id));
  t.false(existsSync(parts.runtime.bundle(id)));
  t.false(readdirSync(parts.runtime.exitFolder).includes(id));
});

test('auto-remove: forced removal of a running container succeeds, whoever takes it away in the end', async (t) => {
  const { containers } = lab.engine;
  const id = await lab.run({ Cmd: ['sleep', '1000'] }, { AutoRemove: true });
  await t.notThrowsAsync(containers.remove(id, { force: true }));
  t.throws(() => containers.find(id));
});

test('memory: a process that is killed for want of it is told at once, and the container goes on', async (t) => {
  const { containers, parts } = lab.engine;
  const told = new Promise<string>((resolve) => {
    const stop = parts.events.on(({ action, id }) => {
      if (action !== 'oom') return;
      stop();
      resolve(id);
    });
  });
  const id = await lab.run({ Cmd: ['sh', '-c', 'tail /dev/zero; sleep 1000'] }, { Memory: 16 * 2 ** 20 });
  t.is(await told, id);
  t.like(containers.summary(id).state, { OOMKilled: true, Running: true });
  await containers.remove(id, { force: true });
});

test('health: what does not run is unhealthy, and starts anew with what was found before', async (t) => {
  const { containers } = lab.engine;
  const Healthcheck = { Test: ['CMD', 'true'], Interval: 50_000_000 };
  const id = await lab.run({ Cmd: ['sleep', '1000'], Healthcheck });
  const container = containers.find(id);
  await container.until(() => container.run.health?.Status === 'healthy', patience());
  await containers.stop(id, { graceMs: 0 });
  t.is(containers.summary(id).state.Health?.Status, 'unhealthy');
  await containers.start(id);
  t.true((containers.summary(id).state.Health?.Log.length ?? 0) > 0);
  await containers.remove(id, { force: true });
});

test('kill: a container that waits for its next start is not started again', async (t) => {
  const { containers } = lab.engine;
  const policy = { RestartPolicy: { Name: 'always' } };
  const id = await lab.run({ Cmd: ['false'] }, policy);
  const container = containers.find(id);
  await container.until(() => container.run.status === 'restarting', patience());
  await containers.kill(id, '');
  t.is(container.run.status, 'exited');
  await containers.remove(id);
});

test('wait: not-running answers at once for what does not run, next-exit waits for the next', async (t) => {
  const { containers } = lab.engine;
  const id = await lab.create({ Cmd: ['sh', '-c', 'exit 5'] });
  t.is((await containers.wait(id, 'not-running')).exitCode, 0);
  const next = containers.wait(id, 'next-exit');
  await containers.start(id);
  t.is((await next).exitCode, 5);
  await t.throwsAsync(containers.wait(id, 'next-exit', AbortSignal.abort(new Error('enough'))), {
    message: 'enough',
  });
});

test('rename: the new name finds it, the old one is free again', async (t) => {
  const { containers } = lab.engine;
  const id = await lab.create({ Cmd: ['true'] }, {}, 'before');
  await containers.rename(id, 'after');
  t.is(containers.find('after').id, id);
  t.throws(() => containers.find('before'));
  await lab.create({ Cmd: ['true'] }, {}, 'before');
  await t.throwsAsync(containers.rename(id, 'before'), { code: 'CONFLICT' } as object);
});

test('health: starting, healthy, unhealthy, as its command says', async (t) => {
  const { containers, execs } = lab.engine;
  const told = 'until test -f /bad -o -f /ok; do sleep 0.02; done';
  const Healthcheck = {
    Test: ['CMD-SHELL', `${told}; test -f /ok || (echo bad; exit 1)`],
    Interval: 50_000_000,
    Retries: 2,
  };
  const id = await lab.run({ Cmd: ['sleep', '1000'], Healthcheck });
  const container = containers.find(id);
  t.is(container.run.health?.Status, 'starting');
  const signal = patience();
  await execs.probe(container, ['touch', '/bad'], 0, signal);
  await containers.becameUnhealthy(id, signal);
  t.is(container.run.health?.Log.at(-1)?.Output, 'bad\n');
  await t.throwsAsync(containers.healthy(id, signal), { message: /unhealthy/ });
  await execs.probe(container, ['touch', '/ok'], 0, signal);
  await container.until(() => container.run.health?.Status === 'healthy', signal);
  await containers.healthy(id, signal);
  t.is(container.run.health?.FailingStreak, 0);
});

test('health: a check that hangs is killed and counts as a failure', async (t) => {
  const { containers } = lab.engine;
  const Healthcheck = {
    Test: ['CMD', 'sleep', '77'],
    Interval: 20_000_000,
    Timeout: 100_000_000,
    Retries: 1,
  };
  const id = await lab.run({ Cmd: ['sleep', '1000'], Healthcheck });
  await containers.becameUnhealthy(id, patience());
  t.regex(containers.find(id).run.health?.Log.at(-1)?.Output ?? '', /exceeded timeout \(100ms\)/);
});

test('networks: a container is on those it names, and connected later to more', async (t) => {
  const { containers, membership, parts } = lab.engine;
  const request = { internal: false, attachable: false, options: {}, labels: {}, driver: 'bridge' };
  const first = await parts.networks.create({ ...request, name: 'first', subnet: '10.200.1.0/24' });
  const second = await parts.networks.create({ ...request, name: 'second' });
  const id = await lab.run({ Cmd: ['sleep', '1000'] }, { NetworkMode: 'first' });
  t.is(membership.members(first.id).length, 1);
  await membership.connect(second, id, { Aliases: ['more'] });
  t.is(membership.members(second.id)[0]?.container.id, id);
  await t.throwsAsync(
    parts.networks.remove('second', ({ id: network }) => membership.members(network).length > 0),
    { message: /has active endpoints/ },
  );
  await membership.disconnect(second, id, false);
  await t.throwsAsync(membership.disconnect(second, id, false), {
    message: /is not connected to network second/,
  });
  await containers.remove(id, { force: true });
  t.false(existsSync(join(lab.folder, 'ns', id)));
});
