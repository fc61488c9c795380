import test from 'ava';
import { parseImageName, pinnedName } from '#manager/control/image-name.ts';

const DIGEST = `sha256:${'0'.repeat(64)}`;

const names: readonly (readonly [given: string, pinned: string])[] = [
  ['alpine', `alpine:latest@${DIGEST}`],
  ['alpine:3.10', `alpine:3.10@${DIGEST}`],
  ['docker.io/library/alpine', `alpine:latest@${DIGEST}`],
  ['index.docker.io/me/app:1', `me/app:1@${DIGEST}`],
  ['me/app', `me/app:latest@${DIGEST}`],
  ['localhost/app', `localhost/app:latest@${DIGEST}`],
  ['127.0.0.1:5000/library/nope:1', `127.0.0.1:5000/library/nope:1@${DIGEST}`],
  ['[::1]:5000/a', `[::1]:5000/a:latest@${DIGEST}`],
];

test('a pinned name says its tag, and leaves out what everybody leaves out', (t) => {
  for (const [given, pinned] of names) {
    const name = parseImageName(given);
    t.truthy(name, given);
    t.is(name && pinnedName(name, DIGEST), pinned);
    t.is(parseImageName(pinned)?.digest, DIGEST, 'and is a name itself');
  }
});

test('what is no name of an image is none', (t) => {
  const broken = [
    '',
    ' ',
    'A',
    'a b',
    'a:',
    'a:-x',
    '/a',
    'a/',
    'a//b',
    'a@',
    'a@sha256:1',
    'a@b@c',
    'x.y/',
    '-a',
    'a..b',
  ];
  for (const text of [...broken, '0'.repeat(64), `a/${'b'.repeat(255)}`])
    t.is(parseImageName(text), undefined, text);
});

test('names that look bad are told so in no time', (t) => {
  t.is(parseImageName(`${'a'.repeat(100_000)}!`), undefined);
  t.is(parseImageName(`${'a-'.repeat(120)}!`), undefined);
});
