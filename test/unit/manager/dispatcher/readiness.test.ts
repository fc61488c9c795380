import test from 'ava';
import type { NodeNews } from '#manager/dispatcher/news.ts';
import { Readiness } from '#manager/dispatcher/readiness.ts';
import { ReadyNodes } from '#manager/dispatcher/ready-nodes.ts';
import type { NodeId } from '#proto/types/ids.ts';

test('a node with nothing open is ready for all there is', (t) => {
  t.is(new Readiness().behind(undefined), undefined);
});

test('what was sent and what is unsaid hold a node back to before their first change', (t) => {
  const readiness = new Readiness();
  t.is(readiness.behind(7), 6);
  readiness.sent(12, 10);
  readiness.sent(20, 15);
  t.is(readiness.behind(30), 9);
  readiness.acknowledged(12);
  t.is(readiness.behind(30), 14);
  readiness.acknowledged(20);
  t.is(readiness.behind(30), 29);
  t.is(readiness.behind(undefined), undefined);
});

test('a later acknowledgement covers what was sent before it, even if it comes first', (t) => {
  const readiness = new Readiness();
  readiness.sent(12, 10);
  readiness.sent(13, 13);
  readiness.acknowledged(13);
  t.is(readiness.behind(undefined), undefined);
  readiness.acknowledged(20);
  readiness.sent(18, 17);
  t.is(readiness.behind(undefined), undefined);
});

test('an agent that never acknowledges costs a bounded memory, and is never called ready', (t) => {
  const readiness = new Readiness();
  for (let version = 1; version <= 10_000; version++) readiness.sent(version, version);
  readiness.acknowledged(64);
  t.true((readiness.behind(undefined) ?? 0) <= 64);
  readiness.acknowledged(9_999);
  t.true((readiness.behind(undefined) ?? 10_000) < 10_000);
  readiness.acknowledged(10_000);
  t.is(readiness.behind(undefined), undefined);
});

const id = (name: string): NodeId => name as NodeId;

function news(node: string, networkReady?: number, alive = true): NodeNews {
  return {
    nodeId: id(node),
    alive,
    silentMs: 0,
    addr: '',
    reports: [],
    ...(networkReady !== undefined && { networkReady }),
  };
}

test("nodes: each is ready for its manager's common version, unless the manager says otherwise", (t) => {
  const ready = new ReadyNodes();
  const mine = (): boolean => true;
  ready.heard({ managerId: id('m1'), settledVersion: 5, nodes: [news('a'), news('b', 2)] }, mine);
  t.deepEqual(
    [...ready],
    [
      [id('a'), 5],
      [id('b'), 2],
    ],
  );
  ready.heard({ managerId: id('m1'), settledVersion: 9, nodes: [] }, mine);
  t.deepEqual(
    [...ready],
    [
      [id('a'), 9],
      [id('b'), 2],
    ],
  );
  ready.heard({ managerId: id('m1'), settledVersion: 9, nodes: [news('b')] }, mine);
  t.is(ready.get(id('b')), 9);
});

test('nodes: one that moves to another manager is ready for what that one says', (t) => {
  const ready = new ReadyNodes();
  const mine = (): boolean => true;
  ready.heard({ managerId: id('m1'), settledVersion: 9, nodes: [news('a')] }, mine);
  ready.heard({ managerId: id('m2'), settledVersion: 3, nodes: [news('a', 0)] }, mine);
  t.is(ready.get(id('a')), 0);
  ready.heard({ managerId: id('m1'), settledVersion: 20, nodes: [] }, mine);
  t.is(ready.get(id('a')), 0);
  ready.heard({ managerId: id('m1'), settledVersion: 20, nodes: [news('a', undefined, false)] }, () => false);
  t.is(ready.get(id('a')), 0);
  ready.heard({ managerId: id('m2'), settledVersion: 20, nodes: [news('a', undefined, false)] }, mine);
  t.false(ready.has(id('a')));
  t.is(ready.size, 0);
});
