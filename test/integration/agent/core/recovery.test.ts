import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test, { type ExecutionContext } from 'ava';
import { isAlive } from '#agent/core/linux/process.ts';
import { type Random, randomInt, seededRandom } from '#proto/base/random.ts';
import { EngineLab, traces } from '#test/support/engine-lab.ts';
import { patience } from '#test/support/wait-for.ts';

const DAEMON = join(import.meta.dirname, '../../../support/engine-daemon.ts');

/** An engine in a process of its own; resolves when it serves. */
async function startDaemon(
  folder: string,
  ...words: string[]
): Promise<{ child: ChildProcess; next: () => Promise<string> }> {
  const child = spawn(process.execPath, [DAEMON, folder, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout as NonNullable<typeof child.stdout> })[
    Symbol.asyncIterator
  ]();
  const next = async (): Promise<string> => String((await lines.next()).value);
  while ((await next()) !== 'ready');
  return { child, next };
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function cleanedUp(t: ExecutionContext, lab: EngineLab): Promise<void> {
  await lab[Symbol.asyncDispose]();
  t.deepEqual(traces(lab.instance), [], 'nothing is left on the machine');
}

function newFolder(): string {
  return mkdtempSync(join(tmpdir(), 'shoal-test-recovery-'));
}

test('closed and opened again: what runs runs on, and is known, attached to and stopped as before', async (t) => {
  const lab = await EngineLab.open('recovery');
  try {
    const cmd = ['sh', '-c', 'trap "exit 3" TERM; while :; do sleep 0.05; echo beat; done'];
    const id = await lab.run({ Cmd: cmd }, { NetworkMode: 'bridge' }, 'steady');
    const before = lab.engine.containers.summary(id).state;
    await lab.engine[Symbol.asyncDispose]();
    const engine = await lab.openEngine();
    t.deepEqual(engine.containers.summary('steady').state, before);
    t.true(lab.held.get('sha256:busybox')?.has(id));
    const attachment = engine.containers.attach(id);
    for await (const { data } of attachment.output) {
      t.regex(data.toString(), /^(beat\n)+$/);
      attachment.close();
    }
    t.is(
      (await engine.execs.probe(engine.containers.find(id), ['echo', 'in'], 10, patience())).output,
      'in\n',
    );
    await engine.containers.stop(id);
    t.is(engine.containers.summary(id).state.ExitCode, 3);
  } finally {
    await cleanedUp(t, lab);
  }
});

test('an end that nobody saw is noted with its code and its time', async (t) => {
  const lab = await EngineLab.open('recovery');
  try {
    const flag = join(lab.folder, 'flag');
    const id = await lab.run(
      { Cmd: ['sh', '-c', 'while ! test -f /lab/flag; do sleep 0.02; done; exit 9'] },
      { Binds: [`${lab.folder}:/lab`] },
    );
    const init = lab.engine.containers.find(id).run.init;
    await lab.engine[Symbol.asyncDispose]();
    writeFileSync(flag, '');
    while (init && isAlive(init)) await new Promise((resolve) => setImmediate(resolve));
    const engine = await lab.openEngine();
    const exit = await engine.containers.wait(id, 'not-running');
    t.is(exit.exitCode, 9);
    t.true(Date.parse(engine.containers.summary(id).state.FinishedAt) <= Date.now());
  } finally {
    await cleanedUp(t, lab);
  }
});

test('a container that lost its supervisor is ended, for nobody would hear of it', async (t) => {
  const lab = await EngineLab.open('recovery');
  try {
    const id = await lab.run({ Cmd: ['sleep', '1000'] });
    const { init, conmon } = lab.engine.containers.find(id).run;
    await lab.engine[Symbol.asyncDispose]();
    process.kill(conmon?.pid as number, 'SIGKILL');
    while (conmon && isAlive(conmon)) await new Promise((resolve) => setImmediate(resolve));
    const engine = await lab.openEngine();
    t.is((await engine.containers.wait(id, 'not-running')).exitCode, 137);
    t.false(init !== undefined && isAlive(init));
  } finally {
    await cleanedUp(t, lab);
  }
});

test('restart policies when the engine comes back: always, unless it was stopped, not at all', async (t) => {
  const lab = await EngineLab.open('recovery');
  try {
    const policies = ['always', 'unless-stopped', 'no'];
    const ids = await Promise.all(
      policies.map((Name) => lab.run({ Cmd: ['sleep', '1000'] }, { RestartPolicy: { Name } })),
    );
    for (const id of ids) await lab.engine.containers.stop(id, { graceMs: 0 });
    await lab.engine[Symbol.asyncDispose]();
    const { containers } = await lab.openEngine();
    const [always, unlessStopped, no] = ids.map((id) => containers.find(id));
    await always?.until(() => always.run.status === 'running', patience());
    t.is(unlessStopped?.run.status, 'exited');
    t.is(no?.run.status, 'exited');
  } finally {
    await cleanedUp(t, lab);
  }
});

test('killed at any moment: the next engine knows every container truly, and can remove them all without a trace', async (t) => {
  const seed = Number(process.env['SEED'] ?? 7);
  t.log(`SEED=${seed}`);
  const random = seededRandom(seed);
  const folder = newFolder();
  try {
    for (let round = 0; round < 8; round += 1) {
      await runAndKill(folder, random);
      const lab = await EngineLab.at(folder);
      checkTruth(t, lab, `round ${round}`);
      if (round % 2 === 1) await checkRemoval(t, lab);
      await lab.engine[Symbol.asyncDispose]();
    }
  } finally {
    await cleanedUp(t, await EngineLab.at(folder));
  }
});

/** An engine that starts, stops and removes, killed at some moment of it. */
async function runAndKill(folder: string, random: Random): Promise<void> {
  const { child, next } = await startDaemon(folder, 'busy');
  for (let left = 1 + randomInt(random, 3); left > 0; left -= 1) await next();
  await new Promise((resolve) => setTimeout(resolve, randomInt(random, 120)));
  await kill(child);
}

function checkTruth(t: ExecutionContext, lab: EngineLab, when: string): void {
  const all = lab.engine.containers.all();
  for (const { name, run } of all) {
    const lives = run.init !== undefined && isAlive(run.init);
    t.is(lives, run.status === 'running', `${when}: ${name} is ${run.status}`);
  }
  const running = all.filter(({ hasProcess }) => hasProcess).map(({ id }) => id);
  t.deepEqual([...lab.network.opened.keys()].sort(), running.sort(), `${when}: no network but of what runs`);
}

async function checkRemoval(t: ExecutionContext, { engine }: EngineLab): Promise<void> {
  for (const { id } of engine.containers.all())
    await engine.containers.remove(id, { force: true, volumes: true });
  t.deepEqual(engine.containers.all(), []);
}

test('two engines on one machine do not disturb each other; one folder has one engine', async (t) => {
  const [one, two] = [await EngineLab.open('recovery'), await EngineLab.open('recovery')];
  try {
    const id = await one.run({ Cmd: ['sleep', '1000'] }, {}, 'same');
    await two.run({ Cmd: ['sleep', '1000'] }, {}, 'same');
    await t.throwsAsync(EngineLab.at(one.folder), { code: 'UNAVAILABLE' } as object);
    await cleanedUp(t, two);
    t.true(one.engine.containers.summary(id).state.Running);
  } finally {
    await cleanedUp(t, one);
  }
});

test('killed right after a process was let go: it is taken for what it is, a running one', async (t) => {
  const lab = await EngineLab.open('recovery');
  try {
    const id = await lab.run({ Cmd: ['sleep', '1000'] });
    const { stateRoot } = lab.engine.parts.runtime;
    await lab.engine[Symbol.asyncDispose]();
    execFileSync('mkfifo', [join(stateRoot, id, 'exec.fifo')]);
    const engine = await lab.openEngine();
    t.true(engine.containers.summary(id).state.Running);
    t.false(existsSync(join(stateRoot, id, 'exec.fifo')));
  } finally {
    await cleanedUp(t, lab);
  }
});
