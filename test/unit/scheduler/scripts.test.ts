import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { Script } from './script.ts';

const FOLDER = join(import.meta.dirname, 'scripts');

for (const file of readdirSync(FOLDER).sort()) {
  test(`placement: the script ${file} prints what it says`, (t) => {
    const script = new Script();
    const blocks = readFileSync(join(FOLDER, file), 'utf8').trim().split(/\n\n+/);
    for (const block of blocks) {
      const [commands, expected] = block.split(/^----\n?/m) as [string, string | undefined];
      if (expected === undefined) t.is(script.run(commands), '', block);
      else t.is(script.run(commands), expected.trim(), block);
    }
  });
}
