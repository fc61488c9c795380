import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { Managers } from '#agent/session/managers.ts';
import { nullLog } from '#proto/base/log.ts';
import { seededRandom } from '#proto/base/random.ts';
import type { NodeId } from '#proto/types/ids.ts';

const modules = { random: seededRandom(1), log: nullLog };
const manager = (name: string): { nodeId: NodeId; addr: string } => ({
  nodeId: name as NodeId,
  addr: `${name}:2377`,
});

async function inDirectory(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'shoal-test-managers-'));
  await run(dir).finally(() => rm(dir, { recursive: true }));
}

function picks(managers: Managers, count: number): Map<string | undefined, number> {
  const found = new Map<string | undefined, number>();
  for (let i = 0; i < count; i++) {
    const addr = managers.pick();
    found.set(addr, (found.get(addr) ?? 0) + 1);
  }
  return found;
}

test('the list is remembered, and never replaced by an empty one', async (t) => {
  await inDirectory(async (dir) => {
    const managers = await Managers.open(dir, modules);
    t.is(managers.pick(), undefined);
    await managers.learn([manager('a'), manager('b')]);
    await managers.learn([]);
    const again = await Managers.open(dir, modules);
    t.deepEqual(again.all(), [manager('a'), manager('b')]);
  });
});

test('of lists that are learned at once the last is remembered', async (t) => {
  await inDirectory(async (dir) => {
    const managers = await Managers.open(dir, modules);
    const lists = ['a', 'b', 'c', 'd'].map((name) => [manager(name)]);
    await Promise.all(lists.map((list) => managers.learn(list)));
    t.deepEqual((await Managers.open(dir, modules)).all(), [manager('d')]);
  });
});

test("a list that can't be read counts as none", async (t) => {
  await inDirectory(async (dir) => {
    await writeFile(join(dir, 'managers.json'), '{"half');
    t.deepEqual((await Managers.open(dir, modules)).all(), []);
  });
});

test('managers are picked evenly; one that fails seldom, and like the others again once it works', async (t) => {
  await inDirectory(async (dir) => {
    const managers = await Managers.open(dir, modules);
    await managers.learn([manager('a'), manager('b')]);
    t.true((picks(managers, 1_000).get('a:2377') ?? 0) > 400);
    for (let i = 0; i < 3; i++) managers.failed('a:2377');
    const seldom = picks(managers, 1_000).get('a:2377') ?? 0;
    t.true(seldom > 0 && seldom < 200, `${seldom}`);
    managers.succeeded('a:2377');
    t.true((picks(managers, 1_000).get('a:2377') ?? 0) > 400);
  });
});

test('the one just left is avoided, where there is another', async (t) => {
  await inDirectory(async (dir) => {
    const managers = await Managers.open(dir, modules);
    await managers.learn([manager('a')]);
    t.is(managers.pick('a:2377'), 'a:2377');
    await managers.learn([manager('a'), manager('b')]);
    for (let i = 0; i < 50; i++) t.is(managers.pick('a:2377'), 'b:2377');
  });
});

test('managers known from elsewhere come beside those that are remembered, and take no place of theirs', async (t) => {
  await inDirectory(async (dir) => {
    const first = await Managers.open(dir, modules);
    await first.learn([manager('m1'), manager('m2')]);
    const again = await Managers.open(dir, modules);
    await again.learnMore([{ addr: 'm1:2377' }, { addr: 'm3:2377' }]);
    t.deepEqual(again.all(), [manager('m1'), manager('m2'), { addr: 'm3:2377' }]);
  });
});
