import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { decodeEntry } from '#manager/store/log-entry.ts';
import { StoreMachine } from '#manager/store/machine.ts';

const DIRECTORY = join(import.meta.dirname, '../../../data/histories');
const names = readdirSync(DIRECTORY)
  .filter((name) => name.endsWith('.json'))
  .map((name) => name.replace('.json', ''));

interface Recorded {
  readonly about: string;
  readonly version: number;
  readonly hash: string;
}

function read(name: string): string {
  return readFileSync(join(DIRECTORY, name), 'utf8').replace(/\n$/, '');
}

function entriesOf(name: string): { index: number; term: number; data: Uint8Array }[] {
  const lines = read(`${name}.entries`).split('\n');
  return lines.map((line, i) => ({ index: i + 1, term: 1, data: Buffer.from(line, 'base64') }));
}

for (const name of names) {
  const recorded = JSON.parse(read(`${name}.json`)) as Recorded;

  test(`history ${name} (${recorded.about}): its log gives the state it gave then`, (t) => {
    const machine = new StoreMachine();
    machine.apply(entriesOf(name));
    t.is(machine.version, recorded.version);
    t.is(machine.hash(), recorded.hash);
  });

  test(`history ${name}: its snapshot is that state`, async (t) => {
    const machine = new StoreMachine();
    const bytes = Buffer.from(read(`${name}.snapshot`), 'base64');
    await machine.restore(
      (async function* () {
        yield bytes;
      })(),
      recorded.version,
    );
    t.is(machine.hash(), recorded.hash);
  });

  test(`history ${name}: a snapshot taken half-way, and the rest of the log, give the same state`, async (t) => {
    const entries = entriesOf(name);
    const half = Math.floor(entries.length / 2);
    const [first, second] = [new StoreMachine(), new StoreMachine()];
    first.apply(entries.slice(0, half));
    await second.restore(first.snapshot(), half);
    second.apply(entries.slice(half));
    t.is(second.hash(), recorded.hash);
  });
}

test('history 0003: restarted in the middle of large transactions, it gives the same state', async (t) => {
  const recorded = JSON.parse(read('0003.json')) as Recorded;
  let machine = new StoreMachine();
  let restarts = 0;
  for (const entry of entriesOf('0003')) {
    machine.apply([entry]);
    if (entry.data.length === 0 || decodeEntry(entry.data).part === undefined) continue;
    const restarted = new StoreMachine();
    await restarted.restore(machine.snapshot(), machine.version);
    machine = restarted;
    restarts += 1;
  }
  t.true(restarts > 20);
  t.is(machine.hash(), recorded.hash);
  const snapshot = Buffer.from(read('0003.snapshot'), 'base64');
  t.is(snapshot[7], 3, 'it ends in the middle of one: its snapshot is of format 3');
});

test('histories: there is at least one', (t) => {
  t.true(names.includes('0001'));
});
