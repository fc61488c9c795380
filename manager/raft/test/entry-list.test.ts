import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import test from 'ava';
import { EntryList } from '../src/index.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

test('entry list: an entry that was dropped is held no more, however few there are', async (t) => {
  const list = new EntryList(1);
  const dropped = add(list, 1);
  const kept = add(list, 2);
  list.dropBefore(2);
  await turn();
  collectGarbage();
  t.is(dropped.deref(), undefined);
  t.is(list.at(2)?.data, kept.deref());
});

function add(list: EntryList, index: number): WeakRef<Uint8Array> {
  const data = new Uint8Array(1000);
  list.extend([{ type: 0, term: 1, index, data }]);
  return new WeakRef(data);
}
