import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { EngineClient } from '#deploy/cli/engine-client.ts';
import { run } from '#deploy/local/run.ts';
import { randomInt, seededRandom } from '#proto/base/random.ts';
import { LoneDaemon, ofThisProcess } from '#test/support/lone-daemon.ts';
import { SmallRegistry } from '#test/support/small-registry.ts';
import { waitFor } from '#test/support/wait-for.ts';
import { IMAGE, imageRoot, importImage } from '../../../bench/engines/image.ts';
import { keepBuilding, keepContainers, keepPulling, type Work } from './hands.ts';

/** The whole of it is SHOAL_TEST_KILLS=1000; SHOAL_TEST_SEED=n replays what kill n of a run before did. */
const KILLS = Number(process.env['SHOAL_TEST_KILLS'] ?? 20);
const SEED = Number(process.env['SHOAL_TEST_SEED'] ?? 1);
/** A daemon is killed within this of the beginning of work. */
const LIVES_MS_MAX = 600;
const MS_MAX = 40_000 * KILLS + 300_000;

test('killed in the middle of anything, the next daemon knows every container truly, and nothing stays behind', async (t) => {
  t.timeout(MS_MAX);
  const signal = AbortSignal.timeout(MS_MAX);
  await using stack = new AsyncDisposableStack();
  const daemon = new LoneDaemon(ofThisProcess('kc'));
  stack.defer(() => daemon.down());
  await daemon.up(signal, (host) => ['--insecure-registry', `${host}/32`]);
  const root = await imageRoot();
  const registry = stack.use(await SmallRegistry.open(daemon.hostAddress, root));
  await importImage(daemon.client, root);
  const shared = { client: daemon.client, reference: registry.reference, context: await buildContext() };
  await once(shared);
  const before = await atRest(daemon);
  for (let seed = SEED; seed < SEED + KILLS; seed++) {
    await workAndKill(t, daemon, shared, seed);
    await daemon.start(signal);
    await checkTruth(t, daemon.client, seed);
    t.log(`killed, SHOAL_TEST_SEED=${seed}`);
    await clearAway(daemon.client);
    await waitFor(
      `nothing left, SHOAL_TEST_SEED=${seed}`,
      async () => (await atRest(daemon)) === before,
    ).catch(async () => t.is(await atRest(daemon), before, `SHOAL_TEST_SEED=${seed}`));
  }
});

type Shared = Pick<Work, 'client' | 'reference' | 'context'>;

/** Everything that work makes on its first time, and what stays for good, is there then. */
async function once(shared: Shared): Promise<void> {
  for (const keep of [keepContainers, keepPulling, keepBuilding]) {
    let times = 0;
    await keep({ ...shared, random: seededRandom(0), isOver: () => times++ > 0 });
  }
  await clearAway(shared.client);
}

async function workAndKill(
  t: ExecutionContext,
  daemon: LoneDaemon,
  shared: Shared,
  seed: number,
): Promise<void> {
  const random = seededRandom(seed);
  let killed = false;
  const hands = [keepContainers, keepContainers, keepContainers, keepPulling, keepBuilding].map(
    async (keep, at) => {
      try {
        await keep({ ...shared, random: seededRandom(seed * 10 + at), isOver: () => killed });
      } catch (error) {
        if (!killed) t.fail(`SHOAL_TEST_SEED=${seed}: ${(error as Error).message}`);
      }
    },
  );
  await sleep(randomInt(random, LIVES_MS_MAX));
  killed = true;
  await daemon.end('SIGKILL');
  await Promise.all(hands);
}

interface Inspected {
  readonly State: { readonly Status: string; readonly Running: boolean; readonly Pid: number };
}

/** What is said to run, runs; what is there can be looked at; new containers run. */
async function checkTruth(t: ExecutionContext, client: EngineClient, seed: number): Promise<void> {
  for (const id of await idsOf(client)) {
    const { State: state } = await client.call<Inspected>('GET', `/containers/${id}/json`);
    t.is(isAlive(state.Pid), state.Running, `SHOAL_TEST_SEED=${seed}: ${id} is ${state.Status}`);
  }
  for (const { Id: id } of await client.call<{ Id: string }[]>('GET', '/images/json', {
    query: { all: '1' },
  }))
    await client.call('GET', `/images/${id}/json`);
  const body = { Image: IMAGE, Cmd: ['true'] };
  const { Id: id } = await client.call<{ Id: string }>('POST', '/containers/create', { body });
  await client.call('POST', `/containers/${id}/start`);
  const { StatusCode: code } = await client.call<{ StatusCode: number }>('POST', `/containers/${id}/wait`);
  t.is(code, 0, `SHOAL_TEST_SEED=${seed}`);
}

function isAlive(pid: number): boolean {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function idsOf(client: EngineClient): Promise<string[]> {
  const all = await client.call<{ Id: string }[]>('GET', '/containers/json', { query: { all: '1' } });
  return all.map(({ Id: id }) => id);
}

async function clearAway(client: EngineClient): Promise<void> {
  for (const id of await idsOf(client))
    await client.call('DELETE', `/containers/${id}`, { query: { force: '1', v: '1' } });
  await client.call('POST', '/volumes/prune');
}

/** What the daemon occupies once it does not change any more. */
async function atRest(daemon: LoneDaemon): Promise<string> {
  let last = '';
  return await waitFor('a daemon at rest', async () => {
    const now = (await daemon.footprint()).join('\n');
    const same = now === last;
    last = now;
    return same && now;
  });
}

async function buildContext(): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), 'shoal-test-kills-'));
  try {
    await writeFile(
      join(folder, 'Dockerfile'),
      `FROM ${IMAGE}\nCOPY Dockerfile /\nRUN sh -c 'echo built >/made'\n`,
    );
    await run(['tar', '-C', folder, '-cf', join(folder, 'context.tar'), 'Dockerfile']);
    return await readFile(join(folder, 'context.tar'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
