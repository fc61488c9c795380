import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { SwarmLab } from '#test/support/swarm-lab.ts';

/* The only manager is lost with its disk: the cluster is taken up again from a backup, on a fresh node at its address. */

interface Swarm {
  readonly ID: string;
  readonly JoinTokens: { readonly Worker: string; readonly Manager: string };
}

test('a backup brings a cluster back with its services, tokens and nodes, on a node that knew nothing', async (t) => {
  await using lab = await SwarmLab.open('eba', 1, 1);
  const folder = await mkdtemp(join(tmpdir(), 'shoal-test-ebackup-'));
  try {
    const file = join(folder, 'cluster.backup');
    const passphrase = join(folder, 'passphrase');
    await writeFile(passphrase, 'correct horse\n');
    t.is((await lab.docker('m1', 'network', 'create', '-d', 'overlay', 'kept')).code, 0);
    const placed = ['--detach', '--no-resolve-image', '--constraint', 'node.labels.nowhere==1'];
    t.is((await lab.docker('m1', 'service', 'create', '--name', 'web', ...placed, 'web:1')).code, 0);
    const before = await lab.client('m1').call<Swarm>('GET', '/swarm');

    const made = await lab.shoal('m1', 'swarm', 'backup', file, '--passphrase-file', passphrase);
    t.is(made.code, 0, made.err);
    t.regex(made.out, /2 nodes, 1 services/);
    const early = await lab.shoal('m1', 'swarm', 'restore', file, '--passphrase-file', passphrase);
    t.regex(early.err, /This node is already part of a swarm/);

    await lab.kill('m1');
    await rm(join(lab.node('m1').dataRoot, 'swarm'), { recursive: true });
    await lab.start('m1');
    t.regex((await lab.docker('m1', 'info')).out, /Swarm: inactive/);
    const unread = await lab.shoal('m1', 'swarm', 'restore', file);
    t.regex(unread.err, /is encrypted: give --passphrase-file/);

    const place = ['--advertise-addr', lab.node('m1').address, '--passphrase-file', passphrase];
    const restored = await lab.shoal('m1', 'swarm', 'restore', file, ...place);
    t.is(restored.code, 0, restored.err);
    const after = await lab.client('m1').call<Swarm>('GET', '/swarm');
    t.is(after.ID, before.ID);
    t.deepEqual(after.JoinTokens, before.JoinTokens);
    t.regex((await lab.docker('m1', 'network', 'ls')).out, /kept/);
    t.regex((await lab.docker('m1', 'service', 'ls')).out, /web/);
    await lab.untilNode('m1', 'w1', 'finds the new manager', ({ Status }) => Status.State === 'ready');
    const changed = await lab.docker('m1', 'service', 'update', '--detach', '--replicas', '2', 'web');
    t.is(changed.code, 0, changed.err);

    await lab.stop('m1');
    await lab.start('m1');
    t.regex((await lab.docker('m1', 'service', 'ls')).out, /web .* 0\/2/, 'a restart goes on from there');
  } finally {
    await rm(folder, { recursive: true });
  }
});
