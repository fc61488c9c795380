import test from 'ava';
import { LatencyWindow } from '#manager/consensus/latency-window.ts';

test('latency window: quantiles are within 15 % of what was observed', (t) => {
  const window = new LatencyWindow();
  for (let ms = 1; ms <= 1_000; ms += 1) window.observe(ms / 1_000, 0);
  const summary = window.summary(0);
  t.is(summary?.count, 1_000);
  t.true((summary?.p50Ms ?? 0) >= 500 && (summary?.p50Ms ?? 0) <= 500 * 1.15);
  t.true((summary?.p99Ms ?? 0) >= 990 && (summary?.p99Ms ?? 0) <= 990 * 1.15);
});

test('latency window: what is older than a minute does not count any more', (t) => {
  const window = new LatencyWindow();
  window.observe(1, 0);
  window.observe(0.001, 50_000);
  t.is(window.summary(50_000)?.count, 2);
  t.is(window.summary(60_000)?.count, 1);
  t.true((window.summary(60_000)?.p99Ms ?? 0) < 2);
  t.is(window.summary(120_000), undefined);
});

test('latency window: a shorter look counts only what is as new', (t) => {
  const window = new LatencyWindow();
  window.observe(1, 0);
  window.observe(0.001, 20_000);
  t.is(window.summary(20_000, 10_000)?.count, 1);
  t.is(window.summary(20_000)?.count, 2);
});

test('latency window: nothing at all is no latency of zero', (t) => {
  t.is(new LatencyWindow().summary(0), undefined);
});

test('latency window: what is beyond its buckets counts as the longest it knows', (t) => {
  const window = new LatencyWindow();
  window.observe(1e9, 0);
  window.observe(0, 0);
  const summary = window.summary(0);
  t.true((summary?.p99Ms ?? 0) > 60_000);
  t.true((summary?.p50Ms ?? 1) <= 0.01);
});
