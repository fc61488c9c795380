import test from 'ava';
import { TURN_MS, Turns } from '#agent/core/image/turns.ts';
import { VirtualClock } from '../../../../support/virtual-clock.ts';

const BLOB = `sha256:${'a'.repeat(64)}`;

test('turns: one node at a time may fetch, the others are told which', (t) => {
  const turns = new Turns({ clock: new VirtualClock() });
  t.deepEqual(turns.ask(BLOB, 'one'), { granted: true, fetching: ['one'] });
  t.deepEqual(turns.ask(BLOB, 'two'), { granted: false, fetching: ['one'] });
  t.true(turns.ask(BLOB, 'one').granted, 'it keeps its turn');
  t.true(turns.ask(`sha256:${'b'.repeat(64)}`, 'two').granted, 'another blob is another matter');
});

test('turns: a node that says nothing for long loses its turn, one that goes on keeps it', async (t) => {
  const clock = new VirtualClock();
  const turns = new Turns({ clock });
  turns.ask(BLOB, 'one');
  for (let at = 0; at < 3; at++) {
    await clock.advance(TURN_MS - 1);
    t.true(turns.ask(BLOB, 'one').granted);
    t.false(turns.ask(BLOB, 'two').granted);
  }
  await clock.advance(TURN_MS);
  t.deepEqual(turns.ask(BLOB, 'two'), { granted: true, fetching: ['two'] });
});

test('turns: after each failure twice as many may try, until nobody has asked for a while', async (t) => {
  const clock = new VirtualClock();
  const turns = new Turns({ clock });
  const nodes = Array.from({ length: 200 }, (_, at) => `n${at}`);
  const granted = (): number => nodes.filter((node) => turns.ask(BLOB, node).granted).length;
  t.is(granted(), 1);
  turns.failed(BLOB, 'n1');
  t.is(granted(), 1, 'whose turn it is not has nothing to give back');
  turns.failed(BLOB, 'n0');
  t.is(granted(), 2);
  for (const node of nodes) turns.failed(BLOB, node);
  t.is(granted(), 8);
  for (let at = 0; at < 5; at++) for (const node of nodes) turns.failed(BLOB, node);
  t.is(granted(), 64, 'never more');
  await clock.advance(60_000);
  t.is(granted(), 1);
});

test('turns: where a fetch takes very long, others may try as well, but few', async (t) => {
  const clock = new VirtualClock();
  const turns = new Turns({ clock });
  const fetching = (): readonly string[] => {
    for (const node of ['one', 'two', 'three', 'four']) turns.ask(BLOB, node);
    return turns.ask(BLOB, 'one').fetching;
  };
  for (let ms = 0; ms < 55_000; ms += 5_000) {
    t.deepEqual(fetching(), ['one']);
    await clock.advance(5_000);
  }
  const later: number[] = [];
  for (let ms = 0; ms < 200_000; ms += 5_000) {
    await clock.advance(5_000);
    later.push(fetching().length);
  }
  t.is(Math.max(...later), 3);
});
