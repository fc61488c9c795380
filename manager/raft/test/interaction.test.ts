import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { InteractionEnv, runScript } from '../testing/index.ts';

const SCRIPTS = join(import.meta.dirname, 'data', 'testdata');

for (const name of readdirSync(SCRIPTS).sort()) {
  test(`script: ${name.replace('.txt', '')} prints what is written`, (t) => {
    const env = new InteractionEnv();
    const text = readFileSync(join(SCRIPTS, name), 'utf8');
    t.deepEqual(
      runScript(text, (script) => env.handle(script)),
      [],
    );
  });
}
