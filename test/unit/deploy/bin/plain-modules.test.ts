import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';

const REPO = join(import.meta.dirname, '../../../..');
const PRELOAD = join(REPO, 'deploy/bin/plain-modules.mjs');

/** Runs some lines as a module of the checkout, with or without the preload; gives what they print. */
async function run(lines: string, preload: readonly string[]): Promise<string> {
  const args = ['--disable-warning=ExperimentalWarning', ...preload, '--input-type=module', '--eval', lines];
  const env = { PATH: process.env['PATH'] ?? '' };
  return (await promisify(execFile)(process.execPath, args, { cwd: REPO, env })).stdout.trim();
}

const COMPILER_LOADED = `
  import { ShoalError } from '#proto/base/errors.ts';
  const loaded = process.moduleLoadList.some((name) => name.includes('amaro'));
  console.log(ShoalError.name, loaded ? 'with' : 'without');
`;

test('modules: the daemon loads its modules without the compiler that Node would load for their types', async (t) => {
  t.is(await run(COMPILER_LOADED, ['--import', PRELOAD]), 'ShoalError without');
  t.is(await run(COMPILER_LOADED, []), 'ShoalError with');
});

test('modules: workers of the daemon load them in the same way', async (t) => {
  const lines = `
    import { Worker } from 'node:worker_threads';
    const inWorker = ${JSON.stringify(COMPILER_LOADED)};
    new Worker(new URL('data:text/javascript,' + encodeURIComponent(
      inWorker.replace('#proto', ${JSON.stringify(`file://${REPO}/proto`)}))));
  `;
  t.is(await run(lines, ['--import', PRELOAD]), 'ShoalError without');
});

test('modules: what fails is told with the lines of the source', async (t) => {
  const lines = `
    import { hostPortOf } from '#deploy/node/addresses.ts';
    try { hostPortOf('no port'); } catch (error) { console.log(error.stack); }
  `;
  const [plain, usual] = [await run(lines, ['--import', PRELOAD]), await run(lines, [])];
  t.regex(plain, /addresses\.ts:\d+:\d+/);
  t.is(plain, usual);
});

test('modules: a daemon in no swarm loads nothing that only a swarm needs', async (t) => {
  const lines = `
    import { registerHooks } from 'node:module';
    const loaded = [];
    registerHooks({ resolve: (name, context, next) => {
      const found = next(name, context);
      loaded.push(found.url);
      return found;
    } });
    await import('#deploy/node/daemon.ts');
    loaded.push(...process.moduleLoadList.map((name) => name.replace(' ', '/')));
    console.log(loaded.join('\\n'));
  `;
  const loaded = (await run(lines, ['--import', PRELOAD])).split('\n');
  t.true(loaded.some((url) => url.endsWith('agent/core/open-engine.ts')));
  const swarms =
    /\/(manager|@grpc|@peculiar|reflect-metadata|protobufjs|prom-client|preact|sorted-btree)\/|\/undici/;
  t.deepEqual(
    loaded.filter((url) => swarms.test(url)),
    [],
  );
});
