import { globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { LoneDaemon, ofThisProcess } from '#test/support/lone-daemon.ts';
import { waitFor } from '#test/support/wait-for.ts';
import { IMAGE, imageRoot, importImage, OBEDIENT } from '../../../bench/engines/image.ts';
import { processesNaming } from '../../../bench/engines/leftovers.ts';

const MS_MAX = 300_000;

test('a command whose daemon is killed before it has begun keeps its container from nothing, and leaves nothing', async (t) => {
  t.timeout(MS_MAX);
  const signal = AbortSignal.timeout(MS_MAX);
  await using stack = new AsyncDisposableStack();
  const daemon = new LoneDaemon(ofThisProcess('kx'));
  stack.defer(() => daemon.down());
  await daemon.up(signal);
  await importImage(daemon.client, await imageRoot());
  const before = processesNaming(daemon.folder).length;
  const id = await startContainer(daemon);
  const detached = await execMade(daemon, id, false);
  const attached = await execMade(daemon, id, true);

  const shells = await cutOff(t, daemon, [detached, attached]);
  for (const shell of shells) process.kill(shell, 'SIGCONT');
  const done = join(daemon.folder, 'data/volumes/*/_data/done');
  await waitFor('the one that nobody is to hear has run', () => globSync(done).length > 0);

  await daemon.start(signal);
  await daemon.client.call('DELETE', `/containers/${id}`, { query: { force: '1', v: '1' } });
  await waitFor('no crun is left', () => processesNaming(daemon.folder).length === before);
  await waitFor('no shell is left', () => livingOf(shells).length === 0);
  t.deepEqual(globSync(join(daemon.folder, 'run/engine/x/*')), []);
});

async function startContainer({ client }: LoneDaemon): Promise<string> {
  const body = { Image: IMAGE, Cmd: OBEDIENT, HostConfig: { NetworkMode: 'none' }, Volumes: { '/kept': {} } };
  const { Id: id } = await client.call<{ Id: string }>('POST', '/containers/create', { body });
  await client.call('POST', `/containers/${id}/start`);
  return id;
}

async function execMade({ client }: LoneDaemon, id: string, AttachStdout: boolean): Promise<string> {
  const body = { AttachStdout, Cmd: ['sh', '-c', 'echo >/kept/done'] };
  return (await client.call<{ Id: string }>('POST', `/containers/${id}/exec`, { body })).Id;
}

/** The daemon has told its shells to run these commands, and is killed before they did. Those shells, standing still. */
async function cutOff(t: ExecutionContext, daemon: LoneDaemon, execs: readonly string[]): Promise<number[]> {
  const shells = childrenOf(daemon.pid);
  for (const shell of shells) process.kill(shell, 'SIGSTOP');
  const asked = execs.map((exec) =>
    daemon.client.call('POST', `/exec/${exec}/start`, { body: { Detach: true } }).catch(() => 'cut off'),
  );
  const told = (): boolean => globSync(join(daemon.folder, 'run/engine/x/*/p.json')).length === execs.length;
  await waitFor('shells that are told', told);
  // An answer to something else comes after what was being done.
  await daemon.client.call('GET', '/containers/json');
  await daemon.end('SIGKILL');
  t.deepEqual(
    await Promise.all(asked),
    execs.map(() => 'cut off'),
  );
  return shells;
}

function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
  );
}

/** Processes of these process groups; what has ended and was not collected yet is none. */
function livingOf(groups: readonly number[]): string[][] {
  return globSync('/proc/[0-9]*/stat')
    .map(statOf)
    .filter(([state, , group]) => state !== undefined && state !== 'Z' && groups.includes(Number(group)));
}

/** State, parent, process group and so on. */
function statOf(file: string): string[] {
  try {
    return readFileSync(file, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
  } catch {
    return [];
  }
}
