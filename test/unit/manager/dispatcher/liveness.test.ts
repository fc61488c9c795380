import test from 'ava';
import { Liveness } from '#manager/dispatcher/liveness.ts';
import type { NodeId } from '#proto/types/ids.ts';

const PERIOD_MS = 5_000;
const GRACE_MS = 3 * PERIOD_MS;

const id = (name: string): NodeId => name as NodeId;

/** A leader's knowledge at a time that only moves when told to; every manager keeps talking unless `mute`. */
class Scene {
  readonly liveness = new Liveness(() => ({ periodMs: PERIOD_MS, missesMax: 3 }));
  readonly managers = new Set<string>();
  nowMs = 0;

  alive(manager: string, ...nodes: string[]): void {
    this.managers.add(manager);
    this.liveness.managerHeard(id(manager), this.nowMs);
    for (const node of nodes) this.#heard(manager, node, { alive: true, silentMs: 0 });
  }

  lost(manager: string, node: string, silentMs = 0): void {
    this.#heard(manager, node, { alive: false, silentMs });
  }

  bye(manager: string, node: string, gone: string): void {
    this.#heard(manager, node, { alive: false, silentMs: 0, gone });
  }

  #heard(manager: string, node: string, news: { alive: boolean; silentMs: number; gone?: string }): void {
    this.liveness.nodeHeard(id(manager), { nodeId: id(node), ...news }, this.nowMs);
  }

  pass(ms: number): void {
    for (const untilMs = this.nowMs + ms; this.nowMs < untilMs; ) {
      this.nowMs = Math.min(this.nowMs + 500, untilMs);
      for (const manager of this.managers) this.liveness.managerHeard(id(manager), this.nowMs);
      this.liveness.sweep(this.nowMs);
    }
  }

  state(node: string): string | undefined {
    return this.liveness.standing(id(node), this.nowMs)?.state;
  }
}

test("a node is ready from its manager's first word, for as long as that manager speaks", (t) => {
  const scene = new Scene();
  scene.alive('m1', 'a');
  t.is(scene.state('a'), 'ready');
  scene.pass(10 * GRACE_MS);
  t.is(scene.state('a'), 'ready');
});

test('a node that lost its session is down three periods after its last word, and not before', (t) => {
  const scene = new Scene();
  scene.alive('m1', 'a', 'b', 'c');
  scene.lost('m1', 'a', 4_000);
  scene.pass(GRACE_MS - 4_000 - 1);
  t.is(scene.state('a'), undefined);
  scene.pass(1);
  t.deepEqual(scene.liveness.standing(id('a'), scene.nowMs), { state: 'down', message: 'heartbeat failure' });
  t.is(scene.state('b'), 'ready');
});

test('a node that turns up at another manager was never away', (t) => {
  const scene = new Scene();
  scene.alive('m1', 'a');
  scene.lost('m1', 'a');
  scene.pass(GRACE_MS - 1_000);
  scene.alive('m2', 'a');
  scene.pass(GRACE_MS);
  t.is(scene.state('a'), 'ready');
});

test('what a former manager says of a node that has moved on counts no more', (t) => {
  const scene = new Scene();
  scene.alive('m1', 'a');
  scene.alive('m2', 'a');
  scene.lost('m1', 'a', 60_000);
  scene.bye('m1', 'a', 'late');
  scene.pass(GRACE_MS);
  t.is(scene.state('a'), 'ready');
  t.is(scene.liveness.holderOf(id('a')), id('m2'));
});

test('a node that takes its leave is down at once, with its reason, and ready again when it returns', (t) => {
  const scene = new Scene();
  scene.alive('m1', 'a');
  scene.bye('m1', 'a', 'node is leaving');
  t.deepEqual(scene.liveness.standing(id('a'), 0), { state: 'down', message: 'node is leaving' });
  scene.alive('m1', 'a');
  t.is(scene.state('a'), 'ready');
});

test('when a manager dies, its nodes have a whole grace to turn up elsewhere', (t) => {
  const scene = new Scene();
  scene.alive('m1', 'a', 'b');
  scene.alive('m2', 'c');
  scene.managers.delete('m1');
  scene.pass(PERIOD_MS + GRACE_MS - 1_000);
  t.is(scene.state('a'), undefined);
  scene.alive('m2', 'a');
  scene.pass(1_000);
  t.deepEqual([scene.state('a'), scene.state('b'), scene.state('c')], ['ready', 'down', 'ready']);
});

test('a manager that was lost is not known when it speaks again: it must say everything', (t) => {
  const scene = new Scene();
  t.false(scene.liveness.managerHeard(id('m1'), 0));
  t.true(scene.liveness.managerHeard(id('m1'), 1));
  scene.pass(PERIOD_MS + 1);
  t.false(scene.liveness.managerHeard(id('m1'), scene.nowMs));
});

test('a new leader calls nodes unknown after one period, down after twice the grace, and any word clears it', (t) => {
  const scene = new Scene();
  scene.liveness.inherit([id('a'), id('b')], 0);
  t.is(scene.state('a'), undefined);
  scene.pass(PERIOD_MS);
  t.deepEqual([scene.state('a'), scene.state('b')], ['unknown', 'unknown']);
  scene.alive('m1', 'b');
  t.is(scene.state('b'), 'ready');
  scene.pass(2 * GRACE_MS - PERIOD_MS - 500);
  t.is(scene.state('a'), 'unknown');
  scene.pass(500);
  t.deepEqual([scene.state('a'), scene.state('b')], ['down', 'ready']);
});

test('when many vanish at once, they are waited for twice as long; who leaves in good order is not', (t) => {
  const scene = new Scene();
  const nodes = Array.from({ length: 10 }, (_, i) => `n${i}`);
  scene.alive('m1', ...nodes);
  for (const node of nodes.slice(0, 4)) scene.lost('m1', node);
  scene.bye('m1', 'n9', 'bye');
  t.is(scene.state('n9'), 'down');
  scene.pass(2 * GRACE_MS - 500);
  t.is(scene.state('n0'), undefined);
  scene.pass(500);
  t.deepEqual(
    nodes.slice(0, 4).map((node) => scene.state(node)),
    ['down', 'down', 'down', 'down'],
  );
  t.is(scene.state('n5'), 'ready');
});

test('a few of many, and one of three, are no mass', (t) => {
  const scene = new Scene();
  scene.alive('m1', ...Array.from({ length: 10 }, (_, i) => `n${i}`));
  for (const node of ['n0', 'n1', 'n2']) scene.lost('m1', node);
  scene.pass(GRACE_MS);
  t.deepEqual(
    ['n0', 'n1', 'n2'].map((node) => scene.state(node)),
    ['down', 'down', 'down'],
  );
  const small = new Scene();
  small.alive('m1', 'a', 'b', 'c');
  small.lost('m1', 'a');
  small.pass(GRACE_MS);
  t.is(small.state('a'), 'down');
});

test('of a node that nobody spoke of, nothing is known', (t) => {
  const scene = new Scene();
  scene.lost('m1', 'a', 60_000);
  scene.pass(GRACE_MS);
  t.is(scene.state('a'), undefined);
});
