import test from 'ava';
import { lockBox, openBox } from '#proto/base/locked-box.ts';
import { seededRandom } from '#proto/base/random.ts';

const random = seededRandom(1);
const SECRET = random.bytes(32);

test('box: opens with its secret, for its purpose, and shows nothing else', (t) => {
  const box = lockBox(SECRET, 'test', 'a secret text', random);
  t.is(openBox(SECRET, 'test', box), 'a secret text');
  t.false(Buffer.from(box, 'base64').includes('secret'));
  t.not(lockBox(SECRET, 'test', 'a secret text', random), box);
  t.throws(() => openBox(random.bytes(32), 'test', box), { code: 'UNAUTHENTICATED' });
  t.throws(() => openBox(SECRET, 'another', box), { code: 'UNAUTHENTICATED' });
});

test('box: any change of it is noticed', (t) => {
  const bytes = Buffer.from(lockBox(SECRET, 'test', 'a secret text', random), 'base64');
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    t.throws(() => openBox(SECRET, 'test', changed.toString('base64')), { code: 'UNAUTHENTICATED' });
  }
  for (const box of ['', 'AAAA', bytes.subarray(0, 20).toString('base64')])
    t.throws(() => openBox(SECRET, 'test', box), { code: 'UNAUTHENTICATED' });
});
