import test from 'ava';
import { Turns } from '#manager/control/turns.ts';

test('one at a time, in order, and a failure is only the own', async (t) => {
  const turns = new Turns();
  const told: string[] = [];
  const step =
    (name: string, fails = false) =>
    async (): Promise<string> => {
      told.push(`${name} begins`);
      await Promise.resolve();
      told.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    };
  const results = await Promise.allSettled([
    turns.take(step('a')),
    turns.take(step('b', true)),
    turns.take(step('c')),
  ]);
  t.deepEqual(told, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  t.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
});

test('there is an end to how many may wait', async (t) => {
  const turns = new Turns();
  const first = Promise.withResolvers<void>();
  const taken = [turns.take(() => first.promise)];
  while (taken.length < 1000) taken.push(turns.take(async () => undefined));
  await t.throwsAsync(
    turns.take(async () => undefined),
    { message: /too many changes are waiting/ },
  );
  first.resolve();
  await Promise.all(taken);
  await t.notThrowsAsync(turns.take(async () => undefined));
});
