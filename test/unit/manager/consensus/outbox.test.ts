import test from 'ava';
import { type Message, MessageType } from 'raft-ts';
import { Outbox } from '#manager/consensus/outbox.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

function setup() {
  const clock = new VirtualClock();
  const sent: string[] = [];
  const outbox = new Outbox({
    clock,
    transport: {
      send: ({ type, to, commit = 0, entries = [] }) =>
        void sent.push(
          `${type === MessageType.App ? 'append' : 'other'} ${entries.length} to ${to}, ${commit}`,
        ),
    },
  });
  return { clock, sent, outbox };
}

function append(to: number, commit: number, count = 0): Message {
  const entry = { type: 0 as const, term: 1, index: 1, data: new Uint8Array() };
  return { type: MessageType.App, to, from: 1, term: 1, commit, entries: Array(count).fill(entry) };
}

test('entries go at once, and so does everything that is no append', (t) => {
  const { sent, outbox } = setup();
  outbox.send(append(2, 5, 1));
  outbox.send({ type: MessageType.Heartbeat, to: 2, from: 1, term: 1 });
  t.deepEqual(sent, ['append 1 to 2, 5', 'other 0 to 2, 0']);
});

test('bare news of the commit index waits a moment, and only the last of it goes', async (t) => {
  const { clock, sent, outbox } = setup();
  outbox.send(append(2, 5));
  outbox.send(append(3, 5));
  outbox.send(append(2, 6));
  t.deepEqual(sent, []);
  await clock.advance(1);
  t.deepEqual(sent, ['append 0 to 2, 6', 'append 0 to 3, 5']);
});

test('entries carry the news, for the member they go to', async (t) => {
  const { clock, sent, outbox } = setup();
  outbox.send(append(2, 5));
  outbox.send(append(3, 5));
  outbox.send(append(2, 5, 1));
  await clock.advance(1);
  t.deepEqual(sent, ['append 1 to 2, 5', 'append 0 to 3, 5']);
});

test('news that entries have carried does not hasten younger news', async (t) => {
  const { clock, sent, outbox } = setup();
  outbox.send(append(2, 5));
  await clock.advance(0.6);
  outbox.send(append(2, 5, 1));
  outbox.send(append(2, 6));
  await clock.advance(0.6);
  t.deepEqual(sent, ['append 1 to 2, 5']);
  await clock.advance(1);
  t.deepEqual(sent, ['append 1 to 2, 5', 'append 0 to 2, 6']);
});

test('newer news does not hold up older news', async (t) => {
  const { clock, sent, outbox } = setup();
  outbox.send(append(2, 5));
  await clock.advance(0.6);
  outbox.send(append(2, 6));
  await clock.advance(0.6);
  t.deepEqual(sent, ['append 0 to 2, 6']);
});
