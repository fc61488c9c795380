import test from 'ava';
import { RaftNews } from '#manager/consensus/raft-news.ts';

const election = { kind: 'election-started', term: 3 } as const;
const candidate = { kind: 'role-changed', role: 'pre-candidate', term: 3 } as const;
const leader = { kind: 'role-changed', role: 'leader', term: 4 } as const;

test('elections without a quorum: the first is told at once, then one a minute with how many there were', (t) => {
  const news = new RaftNews();
  const told: unknown[] = [];
  for (let nowMs = 0; nowMs <= 120_000; nowMs += 250) {
    const { level, elections } = news.loudness(election, nowMs);
    if (level === 'info') told.push([nowMs, elections]);
    t.is(news.loudness(candidate, nowMs).level, level, 'the role it leads to is as loud');
  }
  t.deepEqual(told, [
    [0, undefined],
    [60_000, 240],
    [120_000, 240],
  ]);
});

test('elections: once somebody led, the next is told at once', (t) => {
  const news = new RaftNews();
  t.is(news.loudness(election, 0).level, 'info');
  t.is(news.loudness(election, 250).level, 'debug');
  t.is(news.loudness(leader, 260).level, 'info', 'who leads is always told');
  news.led();
  t.deepEqual(news.loudness(election, 500), { level: 'info' });
});

test('what is not news is for those who ask for more; what is worse than news is not hushed up', (t) => {
  const news = new RaftNews();
  t.is(news.loudness({ kind: 'peer-unreachable', progress: {} as never }, 0).level, 'debug');
  t.is(news.loudness({ kind: 'votes-counted', pre: true, granted: 1, rejected: 0 }, 0).level, 'debug');
  t.is(news.loudness({ kind: 'quorum-lost' }, 0).level, 'warn');
});
