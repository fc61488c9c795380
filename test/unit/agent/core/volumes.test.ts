import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { EventBus } from '#agent/core/events.ts';
import type { JsonTable } from '#agent/core/state.ts';
import { LocalVolumes } from '#agent/core/volumes.ts';
import { systemClock } from '#proto/base/clock.ts';
import { seededRandom } from '#proto/base/random.ts';

/** Notes that outlive the volumes' object, as they outlive a daemon. */
function notes(): JsonTable<unknown> & { rows: Map<string, unknown> } {
  const rows = new Map<string, unknown>();
  return {
    rows,
    put: (id, value) => void rows.set(id, value),
    get: (id) => rows.get(id),
    all: () => [...rows.values()],
    delete: (id) => void rows.delete(id),
  };
}

function scratch(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-test-volumes-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function open(folder: string, table: JsonTable<unknown>): LocalVolumes {
  const [clock, random] = [systemClock, seededRandom(1)];
  return new LocalVolumes(
    { folder },
    { table, events: new EventBus({ clock }), clock, random, usedBy: () => [] },
  );
}

test('volumes: a crash while one is made leaves no folder without a note', (t) => {
  const [folder, table] = [scratch(t), notes()];
  const crash = { ...table, put: () => t.false(existsSync(join(folder, 'data')), 'the note comes first') };
  open(folder, crash).create({ name: 'data' });
});

test('volumes: a folder that can’t be made leaves no note', (t) => {
  const [folder, table] = [scratch(t), notes()];
  writeFileSync(join(folder, 'data'), 'in its place');
  t.throws(() => open(folder, table).create({ name: 'data' }));
  t.deepEqual([...table.rows], []);
});

test('volumes: a crash in a removal that was not noted brings the volume back, whole', (t) => {
  const [folder, table] = [scratch(t), notes()];
  const volumes = open(folder, table);
  volumes.create({ name: 'data' });
  writeFileSync(join(volumes.path('data'), 'kept'), 'all of it');
  const crash = (): never => {
    throw new Error('killed');
  };
  t.throws(() => open(folder, { ...table, delete: crash }).remove('data'), { message: 'killed' });
  const next = open(folder, table);
  t.is(readFileSync(join(next.path('data'), 'kept'), 'utf8'), 'all of it');
});

test('volumes: what a crash left of a removal that was noted goes', (t) => {
  const [folder, table] = [scratch(t), notes()];
  mkdirSync(join(folder, '.removed-data', '_data'), { recursive: true });
  open(folder, table);
  t.deepEqual(readdirSync(folder), []);
});
