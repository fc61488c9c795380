import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import test from 'ava';
import { CgroupMoves } from '#agent/core/linux/cgroup-moves.ts';
import { waitFor } from '#test/support/wait-for.ts';

/** Hierarchies at <folder>/two and <folder>/pids, with this process in the group /own of each. */
function machine(): { folder: string; procs: (hierarchy: string) => string } & Disposable {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-test-moves-'));
  const procs = (hierarchy: string): string => join(folder, hierarchy, 'own/cgroup.procs');
  for (const hierarchy of ['two', 'pids']) {
    mkdirSync(join(folder, hierarchy, 'own'), { recursive: true });
    writeFileSync(procs(hierarchy), '');
  }
  return { folder, procs, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}

function moves(folder: string, version: 1 | 2, membership: string): CgroupMoves {
  const file = join(folder, 'membership');
  writeFileSync(file, membership);
  const [roots, rootOf] = [[join(folder, 'two')], new Map([['pids', join(folder, 'pids')]])];
  return new CgroupMoves({ layout: { version, roots, rootOf }, membership: file });
}

const written = (file: string): Promise<boolean> =>
  waitFor('the process is asked to stay', () => readFileSync(file, 'latin1') === String(process.pid));

test('version 2: this process is asked to stay where it is, each time that moves are expected', async (t) => {
  using lab = machine();
  const expected = moves(lab.folder, 2, '3:pids:/elsewhere\n0::/own\n');
  expected.expect();
  t.true(await written(lab.procs('two')));
  writeFileSync(lab.procs('two'), '');
  await waitFor('asked again', () => {
    expected.expect();
    return readFileSync(lab.procs('two'), 'latin1') !== '';
  });
  t.is(readFileSync(lab.procs('pids'), 'latin1'), '');
});

test('version 1: it is asked in the hierarchy of pids', async (t) => {
  using lab = machine();
  moves(lab.folder, 1, '3:pids:/own\n0::/elsewhere\n').expect();
  t.true(await written(lab.procs('pids')));
  t.is(readFileSync(lab.procs('two'), 'latin1'), '');
});

test('where its group is not to be found nothing fails, and it is asked as soon as it is', async (t) => {
  using lab = machine();
  const expected = moves(lab.folder, 2, '0::/late\n');
  const file = join(lab.folder, 'two/late/cgroup.procs');
  expected.expect();
  await setImmediate();
  t.false(existsSync(file));
  mkdirSync(dirname(file));
  writeFileSync(file, '');
  await waitFor('asked once it is there', () => {
    expected.expect();
    return readFileSync(file, 'latin1') === String(process.pid);
  });
});
