import test from 'ava';
import { base36, formatJoinToken, parseJoinToken } from '#proto/rpc/join-token.ts';

const token = { digest: 'a1'.repeat(25), secret: 'z9'.repeat(12).concat('0') };

test('join token: what is formatted is parsed again, blanks around it aside', (t) => {
  t.is(formatJoinToken(token), `SWMTKN-1-${token.digest}-${token.secret}`);
  t.deepEqual(parseJoinToken(` ${formatJoinToken(token)}\n`), token);
});

test('join token: anything else is an invalid join token', (t) => {
  const good = formatJoinToken(token);
  for (const bad of [
    '',
    'SWMTKN-1',
    good.slice(1),
    `${good}0`,
    good.toUpperCase(),
    good.replace('-1-', '-2-'),
  ]) {
    t.throws(() => parseJoinToken(bad), { message: 'invalid join token' }, bad);
  }
});

test('base 36: leading zeros are kept, so that every secret has the same length', (t) => {
  t.is(base36(Uint8Array.of(0, 36), 4), '0010');
});
