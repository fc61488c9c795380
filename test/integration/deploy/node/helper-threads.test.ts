import { getPriority } from 'node:os';
import test from 'ava';
import { helperThreads, raiseHelperThreads } from '#deploy/node/helper-threads.ts';
import { nullLog } from '#proto/base/log.ts';

test('the threads that the Raft thread waits for run before containers, and the main thread does not', (t) => {
  const main = getPriority(process.pid);
  t.true(helperThreads().length > 0);
  raiseHelperThreads(nullLog);
  t.deepEqual(
    helperThreads().map((thread) => getPriority(thread)),
    helperThreads().map(() => -10),
  );
  t.is(getPriority(process.pid), main);
});
