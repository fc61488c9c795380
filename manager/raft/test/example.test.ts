import test from 'ava';
import { demo } from '../examples/key-value.ts';

test('example: the key-value store survives its leader', (t) => {
  const lines: string[] = [];
  demo((line) => lines.push(line));
  t.deepEqual(lines, [
    'the leader is asked for colour = red',
    'a follower reads colour = red',
    'that leader is down; the next one is asked for colour = blue',
    'the first leader is back, and has colour = blue',
  ]);
});
