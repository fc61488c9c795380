import test from 'ava';
import { allHave, Group } from './support/group.ts';

const NAMES = ['m1', 'm2', 'm3'];

test('one manager: it leads as soon as it starts, and what it wrote survives a power failure', async (t) => {
  const group = new Group();
  await group.bootstrap('m1');
  const written = await group.writeAll('w', 5);
  t.deepEqual(group.manager('m1').journal.lines, written);
  group.kill('m1', true);
  await group.restart('m1');
  await group.until(() => group.leader()?.name === 'm1', 'm1 leads again');
  t.deepEqual(group.manager('m1').journal.lines, written);
  await group.close();
});

test('three managers: what one writes is applied by all, in the same order', async (t) => {
  const group = await Group.of(3);
  const written = await group.writeAll('w', 20);
  await t.notThrowsAsync(allHave(group, written));
  await group.close();
});

test('propose: a manager that does not lead refuses, and nothing was written', async (t) => {
  const group = await Group.of(3);
  const follower = NAMES.find((name) => name !== group.leader()?.name) as string;
  await t.throwsAsync(group.resolved(group.consensus(follower).propose(Buffer.from('x'))), {
    code: 'UNAVAILABLE',
  });
  await group.write('y');
  await t.notThrowsAsync(allHave(group, ['y']));
  await group.close();
});

test('propose: what is too large is refused, and says how large it may be', async (t) => {
  const group = await Group.of(1);
  const tooLarge = group.consensus('m1').propose(Buffer.alloc(1536 * 1024 + 1));
  await t.throwsAsync(tooLarge, { code: 'INVALID_ARGUMENT', message: /at most 1572864 are allowed/ });
  await group.close();
});

test('propose: more than may wait are refused, and those that wait are written', async (t) => {
  const group = await Group.of(1, { limits: { proposalsWaitingMax: 10 } });
  const proposals = Array.from({ length: 11 }, (_, at) =>
    group.consensus('m1').propose(Buffer.from(`p${at}`)),
  );
  await t.throwsAsync(proposals[10] as Promise<unknown>, { code: 'RESOURCE_EXHAUSTED' });
  await group.resolved(Promise.all(proposals.slice(0, 10)));
  t.is(group.manager('m1').journal.lines.length, 10);
  await group.close();
});

test('propose: what is proposed together shares one write', async (t) => {
  const group = await Group.of(1);
  await group.write('first');
  const { disk } = group.manager('m1');
  const before = disk.syncs;
  const proposals = Array.from({ length: 100 }, (_, at) =>
    group.consensus('m1').propose(Buffer.from(`p${at}`)),
  );
  await group.resolved(Promise.all(proposals));
  t.is(disk.syncs - before, 1);
  await group.close();
});

test('outcome: a leader that was cut off learns that its proposal is lost, and it is nowhere', async (t) => {
  const group = await Group.of(3);
  const old = await group.awaitLeader();
  group.network.cutOff(`node-${old.name}`);
  const lost = group.consensus(old.name).propose(Buffer.from('lost'));
  const rejected = t.throwsAsync(group.resolved(lost), { code: 'UNAVAILABLE', message: /was not made/ });
  await group.until(() => group.leader() !== undefined && group.leader()?.name !== old.name, 'another leads');
  await group.write('kept');
  group.network.heal(`node-${old.name}`);
  await rejected;
  await t.notThrowsAsync(allHave(group, ['kept']));
  await group.close();
});

test('outcome: a proposal that reached the others is resolved even when its leader lost the lead', async (t) => {
  const group = await Group.of(3);
  const old = await group.awaitLeader();
  const proposed = group.consensus(old.name).propose(Buffer.from('kept'));
  await group.clock.advance(2);
  group.network.cutOff(`node-${old.name}`);
  await group.until(() => group.leader() !== undefined && group.leader()?.name !== old.name, 'another leads');
  group.network.heal(`node-${old.name}`);
  await t.notThrowsAsync(group.resolved(proposed));
  await t.notThrowsAsync(allHave(group, ['kept']));
  await group.close();
});

test('partition: a leader without quorum stops leading, the others go on, and all agree afterwards', async (t) => {
  const group = await Group.of(3);
  const before = await group.writeAll('before', 3);
  const old = await group.awaitLeader();
  group.network.cutOff(`node-${old.name}`);
  await group.until(() => !group.consensus(old.name).leadership().leading, 'the old leader steps down');
  const during = await group.writeAll('during', 3);
  group.network.heal(`node-${old.name}`);
  const after = await group.writeAll('after', 3);
  await t.notThrowsAsync(allHave(group, [...before, ...during, ...after]));
  await group.close();
});

test('partition: a follower that comes back does not unseat the leader', async (t) => {
  const group = await Group.of(3);
  const leader = await group.awaitLeader();
  const { term } = group.consensus(leader.name).leadership();
  const follower = NAMES.find((name) => name !== leader.name) as string;
  group.network.cutOff(`node-${follower}`);
  await group.clock.advance(2_000);
  group.network.heal(`node-${follower}`);
  await group.clock.advance(2_000);
  t.is(group.leader()?.name, leader.name);
  t.is(group.consensus(leader.name).leadership().term, term);
  await group.close();
});

test('failover: when the leader is killed its connections break, and another leads within 50 ms', async (t) => {
  for (let seed = 1; seed <= 5; seed += 1) {
    const group = await Group.of(3, { seed });
    const killedAtMs = group.clock.monotonicMs();
    group.kill((await group.awaitLeader()).name);
    await group.awaitLeader();
    t.true(group.clock.monotonicMs() - killedAtMs <= 50, `seed ${seed}`);
    await group.close();
  }
});

test('stop: a leader hands over before it goes', async (t) => {
  const group = await Group.of(3);
  const old = await group.awaitLeader();
  const { term } = group.consensus(old.name).leadership();
  await group.stop(old.name);
  const next = await group.awaitLeader();
  t.not(next.name, old.name);
  t.is(group.consensus(next.name).leadership().term, term + 1);
  await group.write('after');
  await t.notThrowsAsync(allHave(group, ['after']));
  await group.close();
});

test('transfer: leadership goes to another voter, and nothing is lost', async (t) => {
  const group = await Group.of(3);
  const before = await group.writeAll('b', 3);
  const old = await group.awaitLeader();
  await group.resolved(group.consensus(old.name).transferLeadership());
  await group.until(() => group.leader() !== undefined, 'somebody leads');
  t.not(group.leader()?.name, old.name);
  const after = await group.writeAll('a', 3);
  await t.notThrowsAsync(allHave(group, [...before, ...after]));
  await group.close();
});

test('transfer: refused when there is nobody to hand over to', async (t) => {
  const group = await Group.of(1);
  await t.throwsAsync(group.resolved(group.consensus('m1').transferLeadership()), { code: 'UNAVAILABLE' });
  t.true(group.consensus('m1').leadership().leading);
  await group.close();
});

test('restart: every manager comes back from its disk with all that was acknowledged', async (t) => {
  const group = await Group.of(3);
  const written = await group.writeAll('w', 10);
  for (const name of NAMES) group.kill(name, true);
  for (const name of NAMES) await group.restart(name);
  const more = await group.writeAll('m', 2);
  await t.notThrowsAsync(allHave(group, [...written, ...more]));
  t.is(group.consensus('m1').members().length, 3);
  await group.close();
});

test('restart: a state directory is refused when another is meant', async (t) => {
  const group = await Group.of(1);
  group.kill('m1');
  await t.throwsAsync(group.start('m1', { kind: 'bootstrap' }), { message: /already holds the Raft state/ });
  await t.throwsAsync(group.restart('m9'), { code: 'FAILED_PRECONDITION', message: /keys\.json is missing/ });
  await group.close();
});

test('members: a manager that joins later has everything, and votes once it has caught up', async (t) => {
  const group = await Group.of(1, { limits: { snapshotEveryEntries: 20, logEntriesForSlowFollowers: 5 } });
  const written = await group.writeAll('w', 50);
  const member = await group.join('m2');
  t.true(member.learner, 'it was let in as learner');
  await t.notThrowsAsync(allHave(group, written));
  await group.until(() => group.consensus('m2').members().length === 2, 'm2 knows both');
  await group.close();
});

test('members: joining again before having spoken gives the same answer, afterwards it is refused', async (t) => {
  const group = await Group.of(1);
  const add = () => group.resolved(group.consensus('m1').addMember(group.identity('m2')));
  const first = await add();
  t.deepEqual(await add(), first);
  await group.start('m2', { kind: 'join', raftId: first.raftId, members: [] });
  await group.until(() => group.isVoter(first.raftId), 'm2 votes');
  await t.throwsAsync(add(), { code: 'CONFLICT', message: /is a manager of this cluster already/ });
  await group.close();
});

test('members: one that was removed knows it, is refused, and its id is never given out again', async (t) => {
  const group = await Group.of(3);
  const removed = group.manager('m3');
  if (group.leader()?.name === 'm3') await group.resolved(group.consensus('m3').transferLeadership());
  const leader = await group.awaitLeader();
  await group.resolved(group.consensus(leader.name).removeMember(removed.raftId));
  await group.until(() => group.consensus('m3').isRemoved(), 'm3 knows');
  const again = await group.join('m4');
  t.true(again.raftId > removed.raftId);
  await group.write('after');
  t.false(removed.journal.lines.includes('after'));
  await group.close();
});

test('members: one that was removed while it was away learns it when it comes back', async (t) => {
  const group = await Group.of(3);
  const away = NAMES.find((name) => name !== group.leader()?.name) as string;
  const { raftId } = group.manager(away);
  group.kill(away);
  await group.resolved((await group.awaitLeader()).consensus!.removeMember(raftId));
  await group.restart(away);
  await group.until(() => group.consensus(away).isRemoved(), `${away} knows`);
  t.deepEqual(group.consensus(away).members(), []);
  await group.write('after');
  t.false(group.manager(away).journal.lines.includes('after'));
  await group.close();
});

test('members: who was killed with all the others is a member when they are back', async (t) => {
  const group = await Group.of(3);
  await group.writeAll('w', 3);
  for (const name of NAMES) group.kill(name, true);
  await Promise.all(NAMES.map((name) => group.restart(name)));
  await group.write('after');
  t.deepEqual(
    NAMES.filter((name) => group.consensus(name).isRemoved()),
    [],
  );
  await group.close();
});

test('members: removing one is refused when the rest would have no quorum that answers', async (t) => {
  const group = await Group.of(3);
  const leader = await group.awaitLeader();
  const [gone, there] = NAMES.filter((name) => name !== leader.name) as [string, string];
  group.kill(gone);
  await group.clock.advance(1_000);
  const remove = (name: string) =>
    group.resolved(group.consensus(leader.name).removeMember(group.manager(name).raftId));
  await t.throwsAsync(remove(there), { code: 'FAILED_PRECONDITION', message: /loss of quorum/ });
  await t.notThrowsAsync(remove(gone));
  await t.notThrowsAsync(remove(there));
  await t.throwsAsync(remove(leader.name), { code: 'FAILED_PRECONDITION' });
  await group.close();
});

test('members: a leader that is removed stops leading, and another takes over', async (t) => {
  const group = await Group.of(3);
  const old = await group.awaitLeader();
  await group.resolved(group.consensus(old.name).removeMember(old.raftId));
  await group.until(() => group.leader() !== undefined && group.leader()?.name !== old.name, 'another leads');
  await group.write('after');
  t.false(group.consensus(old.name).leadership().leading);
  await group.close();
});

test('members: of two, the one that leads is removed by the other, who would wait for it for ever otherwise', async (t) => {
  const group = await Group.of(3);
  const old = await group.awaitLeader();
  const [first, second] = NAMES.filter((name) => name !== old.name) as [string, string];
  const remove = (by: string, name: string) =>
    group.resolved(group.consensus(by).removeMember(group.manager(name).raftId));
  await remove(old.name, first);
  await t.throwsAsync(remove(old.name, old.name), {
    code: 'UNAVAILABLE',
    message: /ask the manager that leads/,
  });
  await group.until(() => group.leader()?.name === second, 'the other leads');
  await remove(second, old.name);
  group.kill(old.name);
  await group.write('alone');
  await group.close();
});

test('members: whoever waits on a leader that is removed is told that the outcome is not known', async (t) => {
  const group = await Group.of(3);
  const old = await group.awaitLeader();
  const consensus = group.consensus(old.name);
  const removed = consensus.removeMember(old.raftId);
  await group.clock.advance(1);
  const proposed = consensus.propose(Buffer.from('who knows'));
  await t.throwsAsync(group.resolved(proposed), { code: 'DEADLINE_EXCEEDED', message: /is not known here/ });
  await group.resolved(removed);
  await group.close();
});

test('members: all listeners are told of changes, until they stop listening', async (t) => {
  const group = await Group.of(1);
  const counts: number[] = [];
  const stop = group.consensus('m1').onMembers((members) => counts.push(members.length));
  await group.join('m2');
  stop();
  await group.join('m3');
  t.deepEqual([...new Set(counts)], [2]);
  await group.close();
});

test('new cluster: the last manager goes on alone with everything it has, and others can join it', async (t) => {
  const group = await Group.of(3);
  const written = await group.writeAll('w', 5);
  for (const name of NAMES) group.kill(name, true);
  await group.start('m2', { kind: 'restart' }, { forceNewCluster: true });
  await group.until(() => group.leader()?.name === 'm2', 'm2 leads');
  t.is(group.consensus('m2').members().length, 1);
  const more = await group.writeAll('m', 2);
  t.deepEqual(group.manager('m2').journal.lines, [...written, ...more]);
  const member = await group.join('m4');
  t.true(member.raftId > 3);
  await group.close();
});

test('reads: a barrier resolves when everything committed before it is applied here', async (t) => {
  const group = await Group.of(3);
  for (let count = 0; count < 10; count += 1) {
    await group.write(`w${count}`);
    for (const name of NAMES) {
      await group.resolved(group.consensus(name).readBarrier());
      t.is(group.manager(name).journal.lines.length, count + 1, `on ${name}`);
    }
  }
  await group.close();
});

test('a follower under steady writes is given what is committed in fewer pieces than its leader', async (t) => {
  const group = await Group.of(3);
  const leader = (await group.awaitLeader()).name;
  const pieces = new Map<string, number>(NAMES.map((name) => [name, 0]));
  for (const name of NAMES) {
    const { journal } = group.manager(name);
    const apply = journal.apply.bind(journal);
    journal.apply = (entries) => {
      pieces.set(name, (pieces.get(name) as number) + 1);
      apply(entries);
    };
  }
  const written = Array.from({ length: 40 }, (_, at) => `w${at}`);
  const proposed: Promise<unknown>[] = [];
  for (const text of written) {
    proposed.push(group.consensus(leader).propose(Buffer.from(text)));
    await group.clock.advance(0.5);
  }
  await group.resolved(Promise.all(proposed));
  await group.clock.advance(10);
  for (const name of NAMES) {
    t.deepEqual(group.manager(name).journal.lines, written);
    if (name !== leader) t.true((pieces.get(name) as number) < (pieces.get(leader) as number) / 2, name);
  }
  await group.close();
});

test('reads: a manager without the others gives no barrier, and gives up in time', async (t) => {
  const group = await Group.of(3, { limits: { requestTimeoutMs: 3_000 } });
  const alone = await group.awaitLeader();
  group.network.cutOff(`node-${alone.name}`);
  const barrier = group.resolved(group.consensus(alone.name).readBarrier());
  await t.throwsAsync(barrier, { code: 'UNAVAILABLE' });
  await group.close();
});

test('reads: one that is cancelled ends at once', async (t) => {
  const group = await Group.of(3);
  const alone = await group.awaitLeader();
  group.network.cutOff(`node-${alone.name}`);
  const cancel = new AbortController();
  const barrier = group.consensus(alone.name).readBarrier(cancel.signal);
  cancel.abort(new Error('changed my mind'));
  await t.throwsAsync(barrier, { message: 'changed my mind' });
  await group.close();
});

test('disk full: the leader refuses writes and hands over, and takes part again when there is room', async (t) => {
  const group = await Group.of(3);
  const old = await group.awaitLeader();
  old.disk.roomBytes = 0;
  const proposed: Promise<unknown>[] = [];
  while (group.consensus(old.name).leadership().leading) {
    proposed.push(group.consensus(old.name).propose(Buffer.from(`w${proposed.length}`)));
    await group.clock.advance(5);
  }
  await group.until(() => group.leader() !== undefined, 'another leads');
  t.not(group.leader()?.name, old.name);
  await group.write('during');
  t.is(old.failure, undefined);
  old.disk.roomBytes = Number.POSITIVE_INFINITY;
  const outcomes = await group.resolved(Promise.allSettled(proposed));
  const made = outcomes.flatMap((outcome, at) => (outcome.status === 'fulfilled' ? [`w${at}`] : []));
  await t.notThrowsAsync(allHave(group, [...made, 'during']));
  await group.close();
});

test('failure: a disk that fails otherwise stops this manager, and whoever waits is told', async (t) => {
  const group = await Group.of(1);
  const manager = group.manager('m1');
  const consensus = group.consensus('m1');
  manager.disk.failure = new Error('EIO');
  await t.throwsAsync(consensus.propose(Buffer.from('x')), { message: 'EIO' });
  t.is(manager.failure?.message, 'EIO');
  t.false(consensus.leadership().leading);
  await t.throwsAsync(consensus.propose(Buffer.from('x')), { code: 'UNAVAILABLE' });
  await group.close();
});
