import test from 'ava';
import type { Attachment } from '#agent/core/io.ts';
import { EngineLab, traces } from '#test/support/engine-lab.ts';
import { patience } from '#test/support/wait-for.ts';

let lab: EngineLab;

test.before(async () => {
  lab = await EngineLab.open('streams');
});

test.after.always(async (t) => {
  await lab[Symbol.asyncDispose]();
  t.deepEqual(traces(lab.instance), [], 'nothing is left on the machine');
});

async function outputOf(attachment: Attachment): Promise<{ stdout: string; stderr: string }> {
  const text = { stdout: '', stderr: '' };
  for await (const { stream, data } of attachment.output) text[stream] += data.toString();
  return text;
}

test('attach: who attached before the start misses nothing, over and over', async (t) => {
  const { containers } = lab.engine;
  for (let round = 0; round < 10; round += 1) {
    const id = await lab.create({ Cmd: ['sh', '-c', 'echo out; echo err >&2'] }, { AutoRemove: true });
    const output = outputOf(containers.attach(id));
    await containers.start(id);
    t.deepEqual(await output, { stdout: 'out\n', stderr: 'err\n' });
  }
});

test('attach: input reaches the process, its end too, when it is to be closed once', async (t) => {
  const { containers } = lab.engine;
  const id = await lab.create({ Cmd: ['wc', '-c'], OpenStdin: true, StdinOnce: true });
  const attachment = containers.attach(id);
  const output = outputOf(attachment);
  const sent = attachment.write(Buffer.alloc(1_000_000)).then(() => attachment.endInput());
  await containers.start(id);
  await sent;
  t.is((await output).stdout, '1000000\n');
});

test('attach: much output arrives whole, though the reader is slow', async (t) => {
  const { containers } = lab.engine;
  const id = await lab.create({ Cmd: ['sh', '-c', 'yes 0123456789 | head -c 5000000'] });
  const attachment = containers.attach(id);
  await containers.start(id);
  let length = 0;
  for await (const { data } of attachment.output) {
    length += data.length;
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.is(length, 5_000_000);
});

test('attach: several see the same; one that leaves does not disturb the others', async (t) => {
  const { containers } = lab.engine;
  const id = await lab.create({ Cmd: ['sh', '-c', 'read line; echo "got $line"'], OpenStdin: true });
  const [first, second, third] = [containers.attach(id), containers.attach(id), containers.attach(id)];
  await containers.start(id);
  third.close();
  const outputs = Promise.all([outputOf(first), outputOf(second)]);
  await first.write(Buffer.from('it\n'));
  t.deepEqual(
    (await outputs).map(({ stdout }) => stdout),
    ['got it\n', 'got it\n'],
  );
});

test('attach: a client that does not read can not keep a container from being killed', async (t) => {
  const { containers } = lab.engine;
  const id = await lab.create({ Cmd: ['yes'] });
  containers.attach(id);
  await containers.start(id);
  await containers.stop(id, { graceMs: 0 });
  t.is(containers.summary(id).state.Status, 'exited');
});

test('terminal: it is one, has the size it was given, and what is typed shows', async (t) => {
  const { containers } = lab.engine;
  // The size comes by another way than what is typed, and neither waits for the other.
  const sized = 'until stty size 2>/dev/null | grep -x "33 77"; do sleep 0.05; done';
  const id = await lab.create({
    Cmd: ['sh', '-c', `tty; read line; ${sized}`],
    Tty: true,
    OpenStdin: true,
  });
  const attachment = containers.attach(id);
  await containers.start(id);
  containers.resize(id, 33, 77);
  const output = outputOf(attachment);
  await attachment.write(Buffer.from('go\n'));
  const { stdout } = await output;
  t.regex(stdout, /^\/dev\/(pts\/0|console)\r$/m);
  t.regex(stdout, /^go\r$/m);
  t.true(stdout.endsWith('33 77\r\n'));
});

test('exec: output, exit code, environment, folder and user', async (t) => {
  const { containers, execs } = lab.engine;
  const id = await lab.run({ Cmd: ['sleep', '1000'], Env: ['OF=container'] });
  const container = containers.find(id);
  const run = (cmd: string[]) => execs.probe(container, cmd, 1000, patience());
  t.deepEqual(await run(['sh', '-c', 'echo $OF; exit 9']), { exitCode: 9, output: 'container\n' });
  const exec = execs.create(id, {
    cmd: ['sh', '-c', 'echo $Q; pwd; id -un'],
    env: ['Q=1'],
    workingDir: '/etc',
    user: 'daemon',
    attachStdout: true,
  });
  const process = await execs.start(exec);
  let text = '';
  for await (const chunk of process.stdout as AsyncIterable<Buffer>) text += chunk.toString();
  t.is(text, '1\n/etc\ndaemon\n');
});

test('exec: input and its end', async (t) => {
  const { execs } = lab.engine;
  const id = await lab.run({ Cmd: ['sleep', '1000'] });
  const process = await execs.start(
    execs.create(id, { cmd: ['wc', '-c'], attachStdin: true, attachStdout: true }),
  );
  process.stdin?.end(Buffer.alloc(300_000));
  let text = '';
  for await (const chunk of process.stdout as AsyncIterable<Buffer>) text += chunk.toString();
  t.is(text, '300000\n');
  t.is(await process.exit, 0);
});

test('exec: a terminal of its own, with a size', async (t) => {
  const { execs } = lab.engine;
  const id = await lab.run({ Cmd: ['sleep', '1000'] });
  const cmd = ['sh', '-c', 'tty; read line; stty size; exit 4'];
  const exec = execs.create(id, { cmd, tty: true, attachStdin: true, attachStdout: true });
  const process = await execs.start(exec);
  execs.resize(exec, 44, 88);
  process.stdin?.write('go\n');
  let text = '';
  try {
    for await (const chunk of process.stdout as AsyncIterable<Buffer>) text += chunk.toString();
  } catch (error) {
    t.is((error as NodeJS.ErrnoException).code, 'EIO');
  }
  t.regex(text, /^\/dev\/pts\/\d\r$/m);
  t.true(text.endsWith('44 88\r\n'));
  t.is(await process.exit, 4);
});

test('exec: what is not there is 127, what may not be run 126, said in words that clients know', async (t) => {
  const { execs } = lab.engine;
  const id = await lab.run({ Cmd: ['sleep', '1000'] });
  const missing = execs.create(id, { cmd: ['nosuch'], attachStderr: true });
  await t.throwsAsync(execs.start(missing), {
    message: /exec: "nosuch": executable file not found in \$PATH/,
  });
  t.is(missing.exitCode, 127);
  const denied = execs.create(id, { cmd: ['/etc/passwd'] });
  await t.throwsAsync(execs.start(denied), { message: /permission denied/ });
  t.is(denied.exitCode, 126);
});

test('exec: only in what runs', async (t) => {
  const { containers, execs } = lab.engine;
  const id = await lab.create({ Cmd: ['true'] });
  t.throws(() => execs.create(id, { cmd: ['true'] }), { message: `container ${id} is not running` });
  const paused = await lab.run({ Cmd: ['sleep', '1000'] });
  await containers.pause(paused);
  t.throws(() => execs.create(paused, { cmd: ['true'] }), { message: /is paused/ });
  await containers.unpause(paused);
});

test('logs: followed to the end, the last lines alone, and what went before a moment left out', async (t) => {
  const { containers } = lab.engine;
  const id = await lab.run({
    Cmd: ['sh', '-c', 'for i in 1 2 3 4 5; do echo line$i; done; sleep 0.3; echo last'],
  });
  const lines: string[] = [];
  for await (const { data } of containers.logs(id, { stdout: true, stderr: true, follow: true, tail: 2 }))
    lines.push(data.toString());
  t.is(lines.at(-1), 'last\n');
  const all: string[] = [];
  const times: string[] = [];
  for await (const { data, at } of containers.logs(id, { stdout: true, stderr: true, follow: false })) {
    all.push(data.toString());
    times.push(at);
  }
  t.deepEqual(all, ['line1\n', 'line2\n', 'line3\n', 'line4\n', 'line5\n', 'last\n']);
  t.regex(times[0] as string, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
});

test('logs: byte for byte, also without newlines and beyond a piece', async (t) => {
  const { out } = await lab.shell('head -c 30000 /dev/zero | tr "\\0" x; echo; printf tail');
  t.is(out.length, 30_000 + 1 + 4);
  t.true(out.endsWith('x\ntail'));
});

test('logs: kept within their bounds, the newest in them', async (t) => {
  const { containers } = lab.engine;
  const LogConfig = { Type: 'json-file', Config: { 'max-size': '10k', 'max-file': '2' } };
  const id = await lab.run(
    { Cmd: ['sh', '-c', 'for i in $(seq 2000); do echo line$i; done'] },
    { LogConfig },
  );
  await containers.wait(id, 'not-running');
  const { out } = await lab.said(id);
  t.true(out.endsWith('line2000\n'));
  t.true(out.length < 20_000);
});

test('logs: none are none, and say so', async (t) => {
  const id = await lab.run({ Cmd: ['echo', 'x'] }, { LogConfig: { Type: 'none' } });
  await lab.engine.containers.wait(id, 'not-running');
  await t.throwsAsync(lab.said(id), { message: 'configured logging driver does not support reading' });
});
