import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { CoreMetrics } from '#manager/consensus/core-metrics.ts';
import { RaftHealth } from '#manager/consensus/health.ts';
import { LeadWatch } from '#manager/consensus/lead-watch.ts';
import { nullMetrics } from '#proto/base/metrics.ts';
import { openTestStore } from '#test/support/local-log.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

test('health: what the Raft loop measures is overheard, and goes where it went', (t) => {
  const seen: [string, number][] = [];
  const metrics = {
    ...nullMetrics,
    histogram: (name: string) => ({ observe: (value: number) => void seen.push([name, value]) }),
  };
  const health = new RaftHealth('/nowhere', { metrics, clock: new VirtualClock() });
  const core = new CoreMetrics(health.metrics);
  t.is(health.fsync(), undefined);
  core.synced(0.004);
  core.ticked(200, 10);
  t.is(health.fsync()?.count, 1);
  t.true((health.fsync()?.p99Ms ?? 0) >= 4);
  t.true((health.tickLate()?.p99Ms ?? 0) >= 200);
  t.deepEqual(seen, [
    ['shoal_raft_fsync_seconds', 0.004],
    ['shoal_raft_tick_late_seconds', 0.2],
  ]);
});

test('health: it knows whether the disk has room, as the Raft loop tells it', (t) => {
  const set: [string, number][] = [];
  const metrics = {
    ...nullMetrics,
    gauge: (name: string) => ({ set: (value: number) => void set.push([name, value]) }),
  };
  const health = new RaftHealth('/nowhere', { metrics, clock: new VirtualClock() });
  const core = new CoreMetrics(health.metrics);
  t.false(health.diskFull);
  core.diskFull(true);
  t.true(health.diskFull);
  core.diskFull(false);
  t.false(health.diskFull);
  t.deepEqual(
    set.map(([, value]) => value),
    [0, 1, 0],
  );
});

test('health: the disk that is used is what log and snapshots take, and nothing where there is none', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'shoal-test-health-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const health = new RaftHealth(dir, { metrics: nullMetrics, clock: new VirtualClock() });
  t.is(await health.diskBytes(), 0);
  for (const folder of ['log', 'snapshots']) {
    await mkdir(join(dir, folder));
    await writeFile(join(dir, folder, 'file'), Buffer.alloc(1_000));
  }
  t.is(await health.diskBytes(), 2_000);
});

test('lead watch: counts from when the lead was lost, and forgets when somebody leads', async (t) => {
  const { log, clock } = openTestStore();
  using watch = new LeadWatch({ consensus: log, clock });
  t.is(watch.leaderless(), undefined);
  const lostAtMs = Math.floor(clock.wallMs());
  log.loseLeadership();
  await clock.advance(3_000);
  log.loseLeadership();
  t.deepEqual(watch.leaderless(), { sinceMs: lostAtMs, forMs: 3_000 });
  log.lead();
  t.is(watch.leaderless(), undefined);
});

test('lead watch: a manager that starts without a leader counts from its start', async (t) => {
  const { log, clock } = openTestStore();
  log.loseLeadership();
  using watch = new LeadWatch({ consensus: log, clock });
  await clock.advance(10);
  t.is(watch.leaderless()?.forMs, 10);
});
