import test from 'ava';
import { SandboxCloser } from '#agent/core/sandbox-closer.ts';
import { type Log, nullLog } from '#proto/base/log.ts';

/** Containers' networks that are gone when the test says so. */
function network(log: Log = nullLog): {
  closer: SandboxCloser;
  asked: string[];
  gone: PromiseWithResolvers<void>[];
} {
  const asked: string[] = [];
  const gone: PromiseWithResolvers<void>[] = [];
  const closeSandbox = (id: string): Promise<void> => {
    asked.push(id);
    gone.push(Promise.withResolvers<void>());
    return (gone.at(-1) as PromiseWithResolvers<void>).promise;
  };
  return { closer: new SandboxCloser({ net: { closeSandbox }, log }), asked, gone };
}

test('sandbox closer: only the same container waits until its last network is gone', async (t) => {
  const { closer, asked, gone } = network();
  closer.begin('a');
  t.deepEqual(asked, ['a']);
  await closer.closed('b');
  const order: string[] = [];
  const again = closer.closed('a').then(() => order.push('again'));
  order.push('gone');
  gone[0]?.resolve();
  await again;
  t.deepEqual(order, ['gone', 'again']);
});

test('sandbox closer: what fails is told, and in nobody’s way', async (t) => {
  const told: string[] = [];
  const { closer, gone } = network({ ...nullLog, error: (message) => void told.push(message) });
  closer.begin('a');
  gone[0]?.reject(new Error('busy'));
  await closer.closed('a');
  t.deepEqual(told, ['a container left something behind']);
});

test('sandbox closer: its end waits for all that is under way', async (t) => {
  const { closer, gone } = network();
  closer.begin('a');
  closer.begin('b');
  let ended = false;
  const end = closer[Symbol.asyncDispose]().then(() => {
    ended = true;
  });
  gone[0]?.resolve();
  await closer.closed('a');
  t.false(ended);
  gone[1]?.resolve();
  await end;
  t.true(ended);
});
