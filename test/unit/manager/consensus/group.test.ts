import test from 'ava';
import { Group } from './support/group.ts';

test('one manager: it leads as soon as it starts, and what it writes survives a power failure', async (t) => {
  const group = new Group();
  await group.bootstrap('m1');
  const written = await group.writeAll('w', 5);
  t.deepEqual(group.manager('m1').journal.lines, written);
  group.kill('m1', true);
  await group.restart('m1');
  await group.until(() => group.leader()?.name === 'm1', 'm1 leads again');
  t.deepEqual(group.manager('m1').journal.lines, written);
  await group.close();
});

test('three managers: what one writes is applied by all, in the same order', async (t) => {
  const group = await Group.of(3);
  const written = await group.writeAll('w', 20);
  for (const name of ['m1', 'm2', 'm3']) {
    await group.until(() => group.manager(name).journal.lines.length === 20, `${name} has all`);
    t.deepEqual(group.manager(name).journal.lines, written);
  }
  await group.close();
});
