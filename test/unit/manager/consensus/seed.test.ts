import test from 'ava';
import type { Peer } from '#manager/consensus/membership.ts';
import { seedState } from '#manager/consensus/seed.ts';
import { nullLog } from '#proto/base/log.ts';
import { Group } from './support/group.ts';

const INDEX = 70;

async function* chunks(texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

async function seed(group: Group, name: string, texts: readonly string[]): Promise<void> {
  const { disk } = group.manager(name);
  const self: Peer = { ...group.identity(name), raftId: 4 };
  const opts = { stateDir: 'state', self, index: INDEX, term: 6, segmentBytes: 64 * 1024 };
  await seedState(opts, chunks(texts), { disk, random: group.random, clock: group.clock, log: nullLog });
}

test('seed: a manager starts alone from a state of elsewhere, goes on from there, and others can join it', async (t) => {
  const group = new Group();
  const texts = ['a', 'b', 'c'];
  await seed(group, 'm1', texts);
  await group.restart('m1');
  await group.awaitLeader();
  t.deepEqual(group.manager('m1').journal.lines, texts);
  const status = await group.resolved(group.consensus('m1').status());
  t.true(status.term > 6 && status.commitIndex > INDEX);
  t.deepEqual(
    status.members.map(({ member }) => member.raftId),
    [4],
  );
  texts.push(...(await group.writeAll('d', 5)));
  group.kill('m1', true);
  await group.restart('m1');
  await group.awaitLeader();
  await group.resolved(group.consensus('m1').readBarrier());
  t.deepEqual(group.manager('m1').journal.lines, texts, 'also after a power failure');
  texts.push(...(await group.writeAll('e', 1)));
  // A change of members has to wait until the leader has applied what was there before.
  await group.clock.advance(100);
  t.is((await group.join('m2')).raftId, 5);
  t.deepEqual(group.manager('m2').journal.lines, texts);
  await group.close();
});

test('seed: not where there is a state already, and a source that fails leaves no whole one', async (t) => {
  const group = new Group();
  await seed(group, 'm1', ['a']);
  await t.throwsAsync(seed(group, 'm1', ['b']), { message: /holds the state of a manager already/ });
  const failing = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from('a');
    throw new Error('the source broke');
  };
  const { disk } = group.manager('m2');
  const self: Peer = { ...group.identity('m2'), raftId: 1 };
  const opts = { stateDir: 'state', self, index: INDEX, term: 6, segmentBytes: 64 * 1024 };
  const modules = { disk, random: group.random, clock: group.clock, log: nullLog };
  await t.throwsAsync(seedState(opts, failing(), modules), { message: 'the source broke' });
  await t.throwsAsync(group.restart('m2'), { code: 'NOT_FOUND' });
  await group.close();
});
