import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { appendFile, rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { LogOpts } from '#agent/core/engine.ts';
import { LineCutter, nanosecondsOf, parseRecord } from '#agent/core/logs/format.ts';
import { logOptions } from '#agent/core/logs/options.ts';
import { readLog } from '#agent/core/logs/reader.ts';
import { rotateIfLarge } from '#agent/core/logs/rotation.ts';

let folder: string;

test.beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-test-logs-'));
});

test.afterEach.always(() => rmSync(folder, { recursive: true }));

const line = (second: number, text: string, stream = 'stdout', flag = 'F') =>
  `2026-11-21T09:17:${String(second).padStart(2, '0')}.000000005+00:00 ${stream} ${flag} ${text}\n`;

const ENDED = AbortSignal.abort();
const ALL: LogOpts = { stdout: true, stderr: true, follow: false };

async function read(opts: Partial<LogOpts> = {}): Promise<string> {
  let text = '';
  const never = new AbortController().signal;
  for await (const { data } of readLog(join(folder, 'log'), { ...ALL, ...opts }, ENDED, never))
    text += data.toString();
  return text;
}

test.serial('records: whole lines get their newline back, parts stay parts; what is torn is nothing', (t) => {
  t.deepEqual(parseRecord(Buffer.from(line(1, 'a b').trimEnd())), {
    stream: 'stdout',
    full: true,
    at: '2026-11-21T09:17:01.000000005Z',
    data: Buffer.from('a b\n'),
  });
  t.is(parseRecord(Buffer.from(line(1, 'part', 'stderr', 'P').trimEnd()))?.data.toString(), 'part');
  t.is(parseRecord(Buffer.from(line(1, '').slice(0, -1)))?.data.toString(), '\n');
  for (const torn of [
    '',
    '2026',
    '2026-11-21T09:17:01.000000005+00:00 stdo',
    line(1, 'x', 'stdin').trimEnd(),
  ])
    t.is(parseRecord(Buffer.from(torn)), undefined, torn);
});

test.serial('lines: whole however they come', (t) => {
  const cutter = new LineCutter();
  const lines = ['ab', 'c\nd', '\n', '\ne'].flatMap((piece) => cutter.push(Buffer.from(piece)));
  t.deepEqual(lines.map(String), ['abc', 'd', '']);
});

test.serial('times: exact to the nanosecond', (t) => {
  t.is(nanosecondsOf('1970-01-01T00:00:01.000000002Z'), 1_000_000_002n);
  t.is(nanosecondsOf('1970-01-01T00:00:01Z'), 1_000_000_000n);
});

test.serial('reading: rotated files first, by stream, by time, the last lines alone', async (t) => {
  writeFileSync(join(folder, 'log.2'), line(1, 'one'));
  writeFileSync(join(folder, 'log.1'), line(2, 'two', 'stderr'));
  writeFileSync(join(folder, 'log'), line(3, 'three') + line(4, 'four'));
  t.is(await read(), 'one\ntwo\nthree\nfour\n');
  t.is(await read({ stderr: false }), 'one\nthree\nfour\n');
  t.is(await read({ tail: 2 }), 'three\nfour\n');
  t.is(await read({ tail: 3 }), 'two\nthree\nfour\n');
  t.is(await read({ tail: 2, stderr: false }), 'three\nfour\n');
  t.is(await read({ tail: 0 }), '');
  t.is(await read({ sinceNs: nanosecondsOf('2026-11-21T09:17:03Z') }), 'three\nfour\n');
  t.is(await read({ untilNs: nanosecondsOf('2026-11-21T09:17:03Z') }), 'one\ntwo\n');
});

test.serial('reading: a line that was not ended is the last one too', async (t) => {
  for (const file of ['log.1', 'log.2']) rmSync(join(folder, file), { force: true });
  writeFileSync(join(folder, 'log'), line(1, 'one') + line(2, 'two') + line(3, 'half', 'stdout', 'P'));
  t.is(await read({ tail: 1 }), 'half');
  t.is(await read({ tail: 2 }), 'two\nhalf');
});

test.serial('reading: the tail of a large file is exact', async (t) => {
  const lines = Array.from({ length: 40_000 }, (_all, index) => line(5, `line ${index}`));
  writeFileSync(join(folder, 'log'), lines.join(''));
  t.is(await read({ tail: 2 }), 'line 39998\nline 39999\n');
  t.is((await read({ tail: 39_000 })).split('\n')[0], 'line 1000');
});

test.serial('reading: no file is no output', async (t) => {
  t.is(await read(), '');
  t.is(await read({ follow: true }), '');
});

test.serial('following: what comes later, through a rotation, to the end', async (t) => {
  const path = join(folder, 'log');
  writeFileSync(path, line(1, 'one'));
  const ended = new AbortController();
  const got: string[] = [];
  for await (const { data } of readLog(
    path,
    { ...ALL, follow: true },
    ended.signal,
    new AbortController().signal,
  )) {
    got.push(data.toString().trim());
    if (got.length === 1) await appendFile(path, line(2, 'two'));
    if (got.length === 2) {
      await rename(path, `${path}.1`);
      await appendFile(`${path}.1`, line(3, 'three'));
      await appendFile(path, line(4, 'four'));
    }
    if (got.length === 4) ended.abort();
  }
  t.deepEqual(got, ['one', 'two', 'three', 'four']);
});

test.serial('rotation: files move up, the oldest goes, the writer begins anew', (t) => {
  const path = join(folder, 'log');
  const keeping = { driver: 'json-file', bytesMax: 100, filesMax: 3 } as const;
  let reopened = 0;
  for (const name of ['first', 'second', 'third', 'fourth']) {
    writeFileSync(path, name + 'x'.repeat(100));
    t.true(rotateIfLarge(path, keeping, () => (reopened += 1)));
    writeFileSync(path, '');
  }
  t.is(reopened, 4);
  t.deepEqual(readdirSync(folder).sort(), ['log', 'log.1', 'log.2']);
  t.true(readFileSync(`${path}.1`, 'utf8').startsWith('fourth'));
  t.true(readFileSync(`${path}.2`, 'utf8').startsWith('third'));
  t.false(rotateIfLarge(path, keeping, () => t.fail('it is small')));
});

test.serial('rotation: a file that grew far beyond is cut to its last lines', (t) => {
  const path = join(folder, 'log');
  writeFileSync(path, Array.from({ length: 1000 }, (_all, index) => `line ${index}\n`).join(''));
  rotateIfLarge(path, { driver: 'json-file', bytesMax: 100, filesMax: 2 }, () => undefined);
  const kept = readFileSync(`${path}.1`, 'utf8');
  t.true(kept.length <= 100);
  t.true(kept.startsWith('line ') && kept.endsWith('line 999\n'));
});

test.serial('options: sizes and counts as they are written; other drivers keep other amounts', (t) => {
  const of = (Type: string, Config: Record<string, string> = {}) =>
    logOptions({ LogConfig: { Type, Config } });
  t.deepEqual(of('json-file'), { driver: 'json-file', filesMax: 1 });
  t.deepEqual(of('json-file', { 'max-size': '10k', 'max-file': '3' }), {
    driver: 'json-file',
    filesMax: 3,
    bytesMax: 10_240,
  });
  t.deepEqual(of('local'), { driver: 'local', filesMax: 5, bytesMax: 20 * 1024 * 1024 });
  t.is(of('none').driver, 'none');
  t.throws(() => of('json-file', { 'max-size': 'much' }), { message: /invalid size/ });
  t.throws(() => of('json-file', { 'max-file': '0' }), { message: /max-file/ });
});
