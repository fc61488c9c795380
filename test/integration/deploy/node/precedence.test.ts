import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';

const run = promisify(execFile);

/** A process in a session of its own that takes precedence, and says what came of it. */
const PROGRAM = `
  import { getPriority } from 'node:os';
  import { existsSync, readFileSync } from 'node:fs';
  import { nullLog } from '#proto/base/log.ts';
  import { helperThreads, takePrecedence } from '#deploy/node/precedence.ts';
  takePrecedence(nullLog);
  const session = existsSync('/proc/self/autogroup') ? readFileSync('/proc/self/autogroup', 'utf8').trim() : '';
  console.log(JSON.stringify({ main: getPriority(), helpers: helperThreads().map((id) => getPriority(id)), session }));
`;

test('the session of a manager and the threads its Raft waits for run before containers', async (t) => {
  const program = ['--input-type=module-typescript', '--eval', PROGRAM];
  const { stdout } = await run('setsid', ['--wait', process.execPath, ...program], {
    cwd: join(import.meta.dirname, '../../../..'),
  });
  const { main, helpers, session } = JSON.parse(stdout) as {
    main: number;
    helpers: number[];
    session: string;
  };
  t.is(main, getPriority());
  t.true(helpers.length > 0 && helpers.every((priority) => priority === -10));
  if (existsSync('/proc/self/autogroup')) t.regex(session, /nice -10$/);
});
