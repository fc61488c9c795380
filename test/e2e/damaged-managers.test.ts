import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { RaftView } from '#manager/api/convert/raft-view.ts';
import { SwarmLab, until } from '#test/support/swarm-lab.ts';

/* Managers whose files are damaged or gone: each says what is wrong and what to do, and nothing more is lost. */

/** Until a manager that was promoted votes. */
const JOIN_MS_MAX = 40_000;

function swarmFolder(lab: SwarmLab, name: string): string {
  return join(lab.node(name).dataRoot, 'swarm');
}

async function untilSays(lab: SwarmLab, name: string, words: RegExp): Promise<void> {
  await until(`${name} says ${words}`, async () => {
    return words.test((await lab.docker(name, 'info', '-f', '{{.Swarm.Error}}')).out);
  });
}

/** Demotes a manager and promotes it again: it then votes under a new id, with what the others know. */
async function makeAnew(t: ExecutionContext, lab: SwarmLab, name: string): Promise<void> {
  const demoted = await lab.docker('m1', 'node', 'demote', name);
  t.is(demoted.code, 0, demoted.err);
  t.is((await lab.docker('m1', 'node', 'promote', name)).code, 0);
  await until(
    `${name} votes again`,
    async () => {
      const { Quorum } = await lab.client(name).call<RaftView>('GET', '/shoal/raft');
      return Quorum.Voters === 3 && Quorum.Reachable === 3;
    },
    JOIN_MS_MAX,
  );
}

/** Changes a byte in the middle of what the log holds. */
async function damageLog(lab: SwarmLab, name: string): Promise<void> {
  const folder = join(swarmFolder(lab, name), 'raft', 'log');
  const segment = (await readdir(folder)).find((file) => file.endsWith('.wal')) ?? '';
  await using file = await open(join(folder, segment), 'r+');
  await file.write(Buffer.from([0xa5, 0x5a]), 0, 2, 4096 + 60);
}

test('a manager whose state is wiped or damaged says so, works on as a node, and is one again once demoted and promoted', async (t) => {
  await using lab = await SwarmLab.open('edm', 3, 0);
  for (const name of ['m1', 'm2', 'm3'])
    await lab.untilNode('m1', name, 'is known by name', ({ Status }) => Status.State === 'ready');
  await lab.kill('m3');
  await rm(join(swarmFolder(lab, 'm3'), 'raft'), { recursive: true });
  await lab.start('m3');
  await untilSays(lab, 'm3', /comes without the state it had: "docker node demote/);
  await lab.untilNode('m1', 'm3', 'is a node', ({ Status }) => Status.State === 'ready');
  await makeAnew(t, lab, 'm3');

  await lab.kill('m3');
  await damageLog(lab, 'm3');
  await lab.start('m3');
  await untilSays(lab, 'm3', /is damaged at byte 4096/);
  const verified = await lab.shoal('m3', 'raft', 'dump', '--verify', '--data-root', lab.node('m3').dataRoot);
  t.is(verified.code, 1);
  t.regex(verified.out, /^damaged /m);
  await makeAnew(t, lab, 'm3');
});

test('a manager that lost one of its files keeps the others, whatever is asked of it, and goes on when it is put back', async (t) => {
  await using lab = await SwarmLab.open('elf', 1, 0);
  t.is((await lab.docker('m1', 'network', 'create', '-d', 'overlay', 'kept')).code, 0);
  for (const file of ['settings.json', 'identity.json', 'raft/keys.json']) {
    await lab.stop('m1');
    const path = join(swarmFolder(lab, 'm1'), file);
    const content = await readFile(path);
    await rename(path, `${path}.lost`);
    await lab.start('m1');
    await untilSays(lab, 'm1', new RegExp(`${path} is missing`));
    for (const command of [['init'], ['leave']])
      t.not((await lab.docker('m1', 'swarm', ...command)).code, 0, `swarm ${command} without ${file}`);
    await lab.stop('m1');
    t.deepEqual(await readFile(`${path}.lost`), content, 'the folder is as it was');
    await rename(`${path}.lost`, path);
    await lab.start('m1');
    await until('m1 goes on', async () => (await lab.docker('m1', 'network', 'ls')).code === 0);
    t.regex((await lab.docker('m1', 'network', 'ls')).out, /kept/);
  }
});
