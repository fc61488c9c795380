import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { NodeIdentity } from '#agent/session/identity.ts';
import { explain } from '#deploy/cli/context.ts';
import { EngineClient } from '#deploy/cli/engine-client.ts';
import { raftCommand } from '#deploy/cli/raft.ts';
import { formatUnlockKey, newUnlockKey, unlockSecret } from '#manager/ca/unlock-key.ts';
import { machineDisk } from '#manager/consensus/disk.ts';
import { createKeys, relockKeys } from '#manager/consensus/keys.ts';
import { seededRandom } from '#proto/base/random.ts';
import { testCa } from '#test/support/certificates.ts';

const random = seededRandom(9);

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'shoal-test-raft-command-'));
  await work(folder).finally(() => rm(folder, { recursive: true }));
}

/** What the command that fails says. */
async function said(...args: readonly string[]): Promise<string> {
  try {
    await raftCommand().parseAsync(['dump', ...args], { from: 'user' });
    return '';
  } catch (error) {
    return explain(error);
  }
}

test('dump: a folder that is not there is named, and no daemon is looked for', async (t) => {
  await inFolder(async (folder) => {
    const missing = join(folder, 'none', 'raft');
    t.regex(await said('--state', missing), /^\/.*\/none\/raft is not there: name the folder/);
    t.regex(await said('--data-root', folder), /\/swarm\/raft is not there/);
    t.is(machineDisk.list(folder).length, 0, 'nothing was made');
  });
});

test('dump: a state that is locked says so without a key, and with another one', async (t) => {
  await inFolder(async (folder) => {
    const stateDir = join(folder, 'raft');
    for (const name of ['log', 'snapshots']) await mkdir(join(stateDir, name), { recursive: true });
    const identity = await NodeIdentity.open(folder);
    await identity.adopt((await (await testCa()).node('manager')).identity.current());
    const [right, other] = [newUnlockKey(random), newUnlockKey(random)];
    const inner = random.bytes(32);
    await identity.lockWith({ secret: unlockSecret(right), inner });
    createKeys(machineDisk, stateDir, random);
    relockKeys(machineDisk, stateDir, { from: undefined, to: inner }, random);
    t.regex(await said('--state', stateDir), /keys\.json is locked: unlock this manager first/);
    t.regex(
      await said('--state', stateDir, '--unlock-key', formatUnlockKey(other)),
      /^the unlock key does not open .*raft: /,
    );
    t.is(await said('--state', stateDir, '--unlock-key', formatUnlockKey(right), '--verify'), '');
  });
});

test('failures: a daemon that is not there and a file that is not there are told apart', async (t) => {
  await inFolder(async (folder) => {
    const asked = new EngineClient(`unix://${folder}/none.sock`).call('GET', '/_ping');
    t.regex(
      explain(await t.throwsAsync(asked)),
      /^Cannot reach the Shoal daemon: .*Name another one with --host/,
    );
    t.regex(explain(t.throws(() => machineDisk.list(join(folder, 'none')))), /^ENOENT: no such file/);
  });
});
