// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Dockerfiles have placeholders of their own
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { expandWord, expandWords } from '#agent/core/build/language/shell-words.ts';

const DATA = join(import.meta.dirname, '../../../../../data/buildkit/shell');
const BACKSLASH = { escape: '\\' };

function lines(file: string): string[] {
  return readFileSync(join(DATA, file), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
}

test('words: each case of BuildKit expands as it does there', (t) => {
  const env = new Map([
    ['PWD', '/home'],
    ['SHELL', 'bash'],
    ['KOREAN', '한국어'],
    ['NULL', ''],
  ]);
  const cases = lines('envVarTest').map((line) => line.split('|').map((field) => field.trim()));
  t.true(cases.length > 180);
  for (const [platform, source = '', expected = ''] of cases) {
    if (platform === 'W') continue;
    if (expected === 'error') t.throws(() => expandWord(source, env, BACKSLASH), undefined, source);
    else t.is(expandWord(source, env, BACKSLASH), expected, source);
  }
});

test('words: each case of BuildKit splits as it does there', (t) => {
  const env = new Map<string, string>();
  let count = 0;
  for (const line of lines('wordsTest')) {
    if (line.startsWith('ENV ')) {
      const [name = '', value = ''] = line.slice(4).trimStart().split('=');
      env.set(name, value);
      continue;
    }
    const [source = '', expected = ''] = line.split('|');
    count += 1;
    if (expected.trim() === 'error')
      t.throws(() => expandWords(source.trimStart().replace(/ $/, ''), env, BACKSLASH), undefined, line);
    else
      t.deepEqual(
        expandWords(source.trimStart().replace(/ $/, ''), env, BACKSLASH),
        expected.slice(1).split(','),
        line,
      );
  }
  t.true(count > 20);
});

const MODIFIERS: readonly [text: string, expanded: string][] = [
  ['${path#/}', 'usr/local/lib.tar.gz'],
  ['${path##*/}', 'lib.tar.gz'],
  ['${path#*/}', 'usr/local/lib.tar.gz'],
  ['${path%.*}', '/usr/local/lib.tar'],
  ['${path%%.*}', '/usr/local/lib'],
  ['${path%none}', '/usr/local/lib.tar.gz'],
  ['${path/local/share}', '/usr/share/lib.tar.gz'],
  ['${path//\\//-}', '-usr-local-lib.tar.gz'],
  ['${path/l?b/x}', '/usr/local/x.tar.gz'],
  ['${none#x}', ''],
  ['${star%\\*}', 'a'],
  ['${path-x}', '/usr/local/lib.tar.gz'],
  ['${none-x}', 'x'],
  ['${empty-x}', ''],
  ['${empty:-x}', 'x'],
  ['${empty+x}', 'x'],
  ['${empty:+x}', ''],
];

test('words: modifiers take away, replace and stand in', (t) => {
  const env = new Map([
    ['path', '/usr/local/lib.tar.gz'],
    ['empty', ''],
    ['star', 'a*'],
  ]);
  for (const [text, expanded] of MODIFIERS) t.is(expandWord(text, env, BACKSLASH), expanded, text);
});

test('words: another escape character, and quotes and unset names that are to stay', (t) => {
  t.is(expandWord('C:\\dir`$x', new Map(), { escape: '`' }), 'C:\\dir$x');
  t.is(
    expandWord('\'a\' "b" \\c', new Map(), { escape: '\\', rawQuotes: true, rawEscapes: true }),
    '\'a\' "b" \\c',
  );
  t.is(expandWord('$a ${b} ${c:-d}', new Map(), { escape: '\\', keepUnset: true }), '$a ${b} ${c:-d}');
});

test('words: text without special characters is left alone; anything ends, well or with an Error', (t) => {
  fc.assert(
    fc.property(fc.stringMatching(/^[\p{L}\p{Nd} ._/:=-]{0,40}$/u), (text) => {
      t.is(expandWord(text, new Map(), BACKSLASH), text);
    }),
  );
  const any = fc.array(
    fc.constantFrom('$', '{', '}', ':', '-', '+', '?', '#', '%', '/', '\\', '"', "'", 'a', 'b', ' '),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(any, (chars) => {
      try {
        expandWord(chars.join(''), new Map([['a', 'value']]), BACKSLASH);
      } catch (error) {
        t.is((error as Error).constructor, Error);
      }
    }),
    { numRuns: 3000 },
  );
});
