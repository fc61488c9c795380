import test from 'ava';
import { statusText } from '#agent/api/container-list.ts';
import { momentNs } from '#agent/api/container-streams.ts';
import { DetachScanner, parseDetachKeys } from '#agent/api/detach-keys.ts';
import { humanDuration } from '#agent/api/duration.ts';
import { frame, streamType } from '#agent/api/frames.ts';
import type { Container } from '#agent/core/container.ts';
import { type ContainerRun, NEW_RUN } from '#agent/core/record.ts';

test('durations: in the words of docker ps', (t) => {
  const minute = 60_000;
  const hour = 60 * minute;
  const day = 24 * hour;
  const words: [number, string][] = [
    [500, 'Less than a second'],
    [1000, '1 second'],
    [59_000, '59 seconds'],
    [minute, 'About a minute'],
    [3 * minute, '3 minutes'],
    [hour, 'About an hour'],
    [5 * hour, '5 hours'],
    [3 * day, '3 days'],
    [20 * day, '2 weeks'],
    [100 * day, '3 months'],
    [800 * day, '2 years'],
  ];
  for (const [ms, text] of words) t.is(humanDuration(ms), text);
});

test('status: how long it has been so, and how healthy', (t) => {
  const at = '2026-01-01T00:00:00Z';
  const text = (run: Partial<ContainerRun>) =>
    statusText({ run: { ...NEW_RUN, ...run } } as Container, Date.parse(at) + 180_000);
  t.is(text({}), 'Created');
  t.is(text({ status: 'running', startedAt: at }), 'Up 3 minutes');
  const health = { FailingStreak: 0, Log: [] };
  t.is(
    text({ status: 'running', startedAt: at, health: { ...health, Status: 'starting' } }),
    'Up 3 minutes (health: starting)',
  );
  t.is(
    text({ status: 'running', startedAt: at, health: { ...health, Status: 'healthy' } }),
    'Up 3 minutes (healthy)',
  );
  t.is(text({ status: 'paused', startedAt: at }), 'Up 3 minutes (Paused)');
  t.is(text({ status: 'exited', finishedAt: at, exitCode: 2 }), 'Exited (2) 3 minutes ago');
  t.is(text({ status: 'restarting', finishedAt: at, exitCode: 1 }), 'Restarting (1) 3 minutes ago');
});

test('frames: which stream, how much, and the data', (t) => {
  t.deepEqual([...frame('stderr', Buffer.from('ab'))], [2, 0, 0, 0, 0, 0, 0, 2, 97, 98]);
  t.is(frame('stdout', Buffer.alloc(300)).readUInt32BE(4), 300);
  t.is(streamType(false, 42), 'application/vnd.docker.multiplexed-stream');
  t.is(streamType(false, 41), 'application/vnd.docker.raw-stream');
  t.is(streamType(true, 51), 'application/vnd.docker.raw-stream');
});

test('detach keys: as written; what is typed passes but for the whole of them', (t) => {
  t.deepEqual([...parseDetachKeys('')], [16, 17]);
  t.deepEqual([...parseDetachKeys('a,ctrl-b,ctrl-@')], [97, 2, 0]);
  t.throws(() => parseDetachKeys('ctrl-1'), { message: /Invalid detach keys/ });
  const scanner = new DetachScanner(parseDetachKeys('ctrl-p,ctrl-q'));
  t.deepEqual(scanner.scan(Buffer.from('a\x10b')), { pass: Buffer.from('a\x10b'), detached: false });
  t.deepEqual(scanner.scan(Buffer.from('c\x10')), { pass: Buffer.from('c'), detached: false });
  t.deepEqual(scanner.scan(Buffer.from('\x10')), { pass: Buffer.from('\x10'), detached: false });
  t.deepEqual(scanner.scan(Buffer.from('\x11d')), { pass: Buffer.from(''), detached: true });
});

test('moments of logs: exact, or refused', (t) => {
  t.is(momentNs('1700000000.000000001'), 1_700_000_000_000_000_001n);
  t.is(momentNs('5'), 5_000_000_000n);
  t.is(momentNs(null), 0n);
  t.throws(() => momentNs('yesterday'), { message: /invalid timestamp/ });
});
