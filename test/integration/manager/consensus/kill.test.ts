import test from 'ava';
import { randomInt, seededRandom } from '#proto/base/random.ts';
import { type ManagerProcess, Managers } from './support/managers.ts';

/** The whole of it is SHOAL_TEST_KILLS=1000; SHOAL_TEST_SEED=n makes other moments of it. */
const KILLS = Number(process.env['SHOAL_TEST_KILLS'] ?? 25);
const SEED = Number(process.env['SHOAL_TEST_SEED'] ?? 20);
const MS_MAX = 10_000 * KILLS + 60_000;
/** Killed after up to so many acknowledgements: before, within and after snapshots. */
const ACKED_MAX = 150;
/** Longer than a leader's main thread may say nothing, by far. */
const STALL_MS = 60_000;
const LIMITS = { snapshotEveryEntries: 100, snapshotPauseMs: 0, segmentBytes: 256 * 1024 };

function missing(manager: ManagerProcess, words: readonly string[]): string[] {
  const there = new Set(words);
  return manager.acked.filter((word) => !there.has(word));
}

test('killed at any moment, a manager comes back with every entry it acknowledged', async (t) => {
  t.timeout(MS_MAX);
  await using managers = await Managers.open();
  const random = seededRandom(SEED);
  const manager = await managers.add();
  await manager.start({ kind: 'bootstrap' }, LIMITS);
  for (let kill = 1; kill <= KILLS; kill += 1) {
    await manager.until(() => manager.leadership.leading);
    const words = await manager.ask<string[]>({ do: 'list' }, 'words');
    t.deepEqual(missing(manager, words), [], `after ${kill - 1} kills`);
    const enough = manager.acked.length + randomInt(random, ACKED_MAX);
    manager.tell({ do: 'write', prefix: `k${kill}-` });
    await manager.until(() => manager.acked.length >= enough);
    await manager.kill();
    await manager.start({ kind: 'restart' }, LIMITS);
  }
  t.true(manager.acked.length > KILLS);
});

test('the leader is killed again and again: another takes over with every entry that was acknowledged', async (t) => {
  await using managers = await Managers.open();
  const first = await managers.add();
  await first.start({ kind: 'bootstrap' }, LIMITS);
  await first.until(() => first.leadership.leading);
  for (let more = 0; more < 2; more += 1) await join(managers, first);
  for (let round = 0; round < 4; round += 1) {
    const leader = await writing(managers, `r${round}-`, 50);
    await leader.kill();
    const words = await wordsOf(managers);
    for (const manager of managers.all) t.deepEqual(missing(manager, words), [], `round ${round}`);
    await leader.start({ kind: 'restart' }, LIMITS);
  }
});

test('a leader whose main thread is stuck lets another manager lead, while it is stuck', async (t) => {
  await using managers = await Managers.open();
  const first = await managers.add();
  await first.start({ kind: 'bootstrap' }, LIMITS);
  await first.until(() => first.leadership.leading);
  for (let more = 0; more < 2; more += 1) await join(managers, first);
  const stuck = await leaderOf(managers);
  const others = managers.all.filter((manager) => manager !== stuck);
  stuck.tell({ do: 'stall', ms: STALL_MS });
  await Promise.race(others.map((other) => other.until(() => other.leadership.leading)));
  await writing({ all: others }, 'after-', 10);
  t.true(stuck.leadership.leading, 'it has not even heard of it yet');
});

async function join(managers: Managers, leader: ManagerProcess): Promise<void> {
  const manager = await managers.add();
  const { raftId } = await leader.ask<{ raftId: number }>({ do: 'add', member: manager.addresses }, 'added');
  await manager.start({ kind: 'join', raftId, members: leader.members }, LIMITS);
  await leader.until(() => leader.members.some((member) => member.raftId === raftId && !member.learner));
}

/** A leader that has written so many more words; when another leads meanwhile, that one is told to begin. */
async function writing(
  managers: Pick<Managers, 'all'>,
  prefix: string,
  count: number,
): Promise<ManagerProcess> {
  for (let time = 1; ; time += 1) {
    const leader = await leaderOf(managers);
    const enough = leader.acked.length + count;
    leader.tell({ do: 'write', prefix: `${prefix}${time}-` });
    await leader.until(() => leader.acked.length >= enough || !leader.leadership.leading);
    if (leader.acked.length >= enough) return leader;
  }
}

/** Every word there is, as a leader tells it. */
async function wordsOf(managers: Managers): Promise<string[]> {
  for (;;) {
    const leader = await leaderOf(managers);
    const seen = leader.leadership;
    const words = await leader.ask<string[]>({ do: 'list' }, 'words').catch(() => undefined);
    if (words !== undefined) return words;
    // It does not lead any more: it has said so, or will.
    await leader.until(() => leader.leadership !== seen);
  }
}

async function leaderOf(managers: Pick<Managers, 'all'>): Promise<ManagerProcess> {
  const running = managers.all.filter((manager) => manager.isRunning);
  const leads = running.map(async (manager) => {
    await manager.until(() => manager.leadership.leading);
    return manager;
  });
  return Promise.race(leads);
}
