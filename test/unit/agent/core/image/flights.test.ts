import test from 'ava';
import { Flights, Limiter } from '#agent/core/image/flights.ts';

test('flights: what many want at once is done once', async (t) => {
  const flights = new Flights<string>();
  const gate = Promise.withResolvers<void>();
  let made = 0;
  let done: string | undefined;
  const want = (): Promise<string> =>
    flights.run(
      'key',
      undefined,
      () => done,
      async () => {
        made += 1;
        await gate.promise;
        done = 'done';
        return done;
      },
    );
  const wanting = [want(), want(), want()];
  gate.resolve();
  t.deepEqual(await Promise.all(wanting), ['done', 'done', 'done']);
  t.is(made, 1);
});

test('flights: when the first gives up, the next who waits does it; one who leaves waits no longer', async (t) => {
  const flights = new Flights<string>();
  const gate = Promise.withResolvers<string>();
  const first = flights.run(
    'key',
    undefined,
    () => undefined,
    () => gate.promise,
  );
  const leaving = new AbortController();
  const second = flights.run(
    'key',
    leaving.signal,
    () => undefined,
    () => Promise.resolve('second'),
  );
  const third = flights.run(
    'key',
    undefined,
    () => undefined,
    () => Promise.resolve('third'),
  );
  leaving.abort(new Error('left'));
  await t.throwsAsync(second, { message: 'left' });
  gate.reject(new Error('broken'));
  await t.throwsAsync(first, { message: 'broken' });
  t.is(await third, 'third');
});

test('limiter: so many are inside at a time, in order, and a place that is given up is taken', async (t) => {
  const limiter = new Limiter(2);
  const gates = Array.from({ length: 4 }, () => Promise.withResolvers<void>());
  const entered: number[] = [];
  const leaving = new AbortController();
  const runs = gates.map((gate, index) =>
    limiter.run(
      async () => {
        entered.push(index);
        await gate.promise;
      },
      index === 2 ? leaving.signal : undefined,
    ),
  );
  t.deepEqual(entered, [0, 1]);
  leaving.abort(new Error('left'));
  await t.throwsAsync(runs[2] as Promise<void>, { message: 'left' });
  gates[0]?.resolve();
  await runs[0];
  await Promise.resolve();
  t.deepEqual(entered, [0, 1, 3]);
  for (const gate of gates) gate.resolve();
  await Promise.all([runs[1], runs[3]]);
  t.is(limiter.inside, 0);
});
