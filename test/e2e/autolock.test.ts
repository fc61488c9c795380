import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { SwarmLab, until } from '#test/support/swarm-lab.ts';

/* Managers that lock themselves: after a restart they wait for the key, which docker swarm unlock gives them. */

const LOCKED = /Swarm is encrypted and needs to be unlocked before it can be used/;

function isLockedText(text: string): boolean {
  const file = JSON.parse(text) as { readonly content?: object };
  return 'locked' in (file.content ?? file);
}

async function isLockedOnDisk(lab: SwarmLab, name: string): Promise<boolean> {
  const swarm = join(lab.node(name).dataRoot, 'swarm');
  const texts = ['identity.json', join('raft', 'keys.json')].map((file) =>
    readFile(join(swarm, file), 'utf8'),
  );
  return (await Promise.all(texts)).every(isLockedText);
}

async function keyOf(lab: SwarmLab): Promise<string> {
  return (await lab.docker('m1', 'swarm', 'unlock-key', '-q')).out.trim();
}

/** What a person pipes into docker swarm unlock. */
async function unlock(lab: SwarmLab, name: string, UnlockKey: string): Promise<string> {
  return lab
    .client(name)
    .call('POST', '/swarm/unlock', { body: { UnlockKey } })
    .then(() => 'unlocked')
    .catch((error: unknown) => (error as Error).message);
}

test('managers lock themselves, and are unlocked after a restart; workers and demoted managers are not locked', async (t) => {
  await using lab = await SwarmLab.open('elo', 2, 1);
  t.regex((await lab.docker('m1', 'swarm', 'unlock-key')).err, /no unlock key is set/i);
  const turnedOn = await lab.docker('m1', 'swarm', 'update', '--autolock');
  t.is(turnedOn.code, 0, turnedOn.err);
  t.regex(turnedOn.out, /SWMKEY-1-/);
  const first = await keyOf(lab);
  for (const name of ['m1', 'm2']) await until(`${name} is locked on disk`, () => isLockedOnDisk(lab, name));

  await lab.stop('m2');
  await lab.start('m2');
  t.regex((await lab.docker('m2', 'info')).out, /Swarm: locked/);
  t.regex((await lab.docker('m2', 'node', 'ls')).err, LOCKED);
  t.regex((await lab.docker('m2', 'swarm', 'leave')).err, /Swarm is encrypted and locked/);
  t.regex(await unlock(lab, 'm2', 'SWMKEY-1-'), /invalid key string/);
  const other = `SWMKEY-1-${Buffer.alloc(32).toString('base64').slice(0, -1)}`;
  t.is(await unlock(lab, 'm2', other), 'swarm could not be unlocked: invalid key provided');
  t.is(await unlock(lab, 'm2', first), 'unlocked');
  t.is(await unlock(lab, 'm2', first), 'swarm is not locked');
  await lab.untilNode('m1', 'm2', 'is back', ({ Status }) => Status.State === 'ready');

  await lab.stop('w1');
  await lab.start('w1');
  t.regex((await lab.docker('w1', 'info')).out, /Swarm: active/, 'a worker is never locked');

  t.is((await lab.docker('m1', 'swarm', 'unlock-key', '--rotate')).code, 0);
  const second = await keyOf(lab);
  t.not(second, first);
  t.is((await lab.docker('m1', 'node', 'promote', 'w1')).code, 0);
  await until('a worker that becomes a manager is locked', () => isLockedOnDisk(lab, 'w1'));
  t.is((await lab.docker('m1', 'node', 'demote', 'w1')).code, 0);
  await until('w1 is no manager any more', async () => {
    return /Is Manager: false/.test((await lab.docker('w1', 'info')).out);
  });
  t.is((await lab.docker('m1', 'node', 'demote', 'm2')).code, 0);
  await until('m2 is a worker that nothing locks', async () => {
    const text = await readFile(join(lab.node('m2').dataRoot, 'swarm', 'identity.json'), 'utf8');
    return !isLockedText(text) && /Is Manager: false/.test((await lab.docker('m2', 'info')).out);
  });

  const rotated = await lab.shoal('m1', 'swarm', 'rotate-key');
  t.regex(rotated.out, /is encrypted with a new key/, rotated.err);
  await lab.kill('m1');
  await lab.start('m1');
  t.is(await unlock(lab, 'm1', first), 'swarm could not be unlocked: invalid key provided');
  t.is(await unlock(lab, 'm1', second), 'unlocked');
  await until('m1 leads', async () => (await lab.docker('m1', 'node', 'ls')).code === 0);
  t.is((await lab.docker('m1', 'swarm', 'update', '--autolock=false')).code, 0);
  await until('m1 is open on disk', async () => !(await isLockedOnDisk(lab, 'm1')));
  await lab.stop('m1');
  await lab.start('m1');
  t.is((await lab.docker('m1', 'node', 'ls')).code, 0, 'a restart needs no key any more');
});
