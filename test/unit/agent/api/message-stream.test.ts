import test from 'ava';
import { MessageStream, streamed } from '#agent/api/message-stream.ts';
import { ShoalError } from '#proto/base/errors.ts';

const never = new AbortController().signal;

async function linesOf(reply: Awaited<ReturnType<typeof streamed>>): Promise<unknown[]> {
  if (reply.kind !== 'stream') throw new Error('no stream');
  const lines: unknown[] = [];
  for await (const line of reply.body) {
    const text = String(line);
    if (!text.endsWith('\r\n')) throw new Error('a line has its end');
    lines.push(JSON.parse(text));
  }
  return lines;
}

test('streams: work that fails before it has said anything fails the request', async (t) => {
  const failing = streamed(never, () => Promise.reject(new ShoalError('NOT_FOUND', 'nowhere')));
  await t.throwsAsync(failing, { instanceOf: ShoalError, message: 'nowhere' });
});

test('streams: work that fails later says so in its last line', async (t) => {
  const reply = await streamed(never, async (out) => {
    await out.write({ stream: 'one' });
    throw new Error('broken');
  });
  t.deepEqual(await linesOf(reply), [
    { stream: 'one' },
    { errorDetail: { message: 'broken' }, error: 'broken' },
  ]);
});

test('streams: work that says nothing is an empty stream', async (t) => {
  t.deepEqual(await linesOf(await streamed(never, () => Promise.resolve())), []);
});

test('streams: a bar that nobody has seen yet gives way to its newer self; other lines all come', async (t) => {
  const out = new MessageStream();
  out.progress({ id: 'a', status: 'Pulling fs layer' });
  for (const current of [1, 2, 1_000_000, 50_000_000, 100_000_000]) {
    out.progress({ id: 'a', status: 'Downloading', current, total: 100_000_000 });
  }
  out.progress({ id: 'a', status: 'Download complete' });
  out.end();
  const lines = (await Array.fromAsync(out.lines())).map((line) => JSON.parse(line) as object);
  t.deepEqual(lines, [
    { status: 'Pulling fs layer', progressDetail: {}, id: 'a' },
    {
      status: 'Downloading',
      progressDetail: { current: 100_000_000, total: 100_000_000 },
      progress: `[${'='.repeat(50)}>]    100MB/100MB`,
      id: 'a',
    },
    { status: 'Download complete', progressDetail: {}, id: 'a' },
  ]);
});

test('streams: who writes much waits for the client, and no longer when that is gone', async (t) => {
  const leaving = new AbortController();
  let written = 0;
  const reply = await streamed(leaving.signal, async (out, signal) => {
    while (!signal.aborted) {
      await out.write({ stream: 'x' });
      written += 1;
    }
  });
  await new Promise((resolve) => setImmediate(resolve));
  const before = written;
  t.true(before < 1000, 'nobody has read anything yet');
  if (reply.kind !== 'stream') return t.fail();
  const lines = reply.body[Symbol.asyncIterator]();
  await lines.next();
  leaving.abort();
  await lines.return?.();
  t.true(written < before + 1000);
});
