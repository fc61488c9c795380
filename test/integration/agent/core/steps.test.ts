import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { Step } from '#agent/core/build/step-runner.ts';
import { randomId } from '#agent/core/names.ts';
import { systemRandom } from '#proto/base/random.ts';
import { EngineLab, traces } from '#test/support/engine-lab.ts';

let lab: EngineLab;

test.before(async () => {
  lab = await EngineLab.open('steps');
});

test.after.always(async (t) => {
  await lab[Symbol.asyncDispose]();
  t.deepEqual(traces(lab.instance), [], 'nothing is left on the machine');
});

/** A step that runs a shell line over the busybox image, and what it printed. */
function stepOf(line: string, more: Partial<Step> = {}): { step: Step; said: string[] } {
  const id = randomId(systemRandom);
  const [upper, work] = ['upper', 'work'].map((name) => join(lab.folder, 'steps', id, name)) as [
    string,
    string,
  ];
  for (const folder of [upper, work]) mkdirSync(folder, { recursive: true });
  const said: string[] = [];
  const step: Step = {
    id,
    lowers: [join(lab.folder, 'busybox')],
    upper,
    work,
    args: ['sh', '-c', line],
    env: ['PATH=/bin'],
    workdir: '/',
    user: '',
    network: 'none',
    host: {},
    output: async (stream, data) => void said.push(`${stream}: ${data}`),
    signal: new AbortController().signal,
    ...more,
  };
  return { step, said };
}

test('a step: what it prints, its exit code, and only its own changes in the folder', async (t) => {
  const { step, said } = stepOf('echo out; echo made > /made; pwd; exit 3', { workdir: '/not/there' });
  t.deepEqual(await lab.engine.steps.run(step), { exitCode: 3 });
  t.is(said.join('').replaceAll('stdout: ', ''), 'out\n/not/there\n');
  t.is(readFileSync(join(step.upper, 'made'), 'utf8'), 'made\n');
  t.deepEqual(readdirSync(step.upper).sort(), ['made', 'not']);
  rmSync(join(lab.folder, 'steps', step.id), { recursive: true });
});

test('a step that is no longer wanted is killed, and nobody waits for it', async (t) => {
  const given = new AbortController();
  const { step } = stepOf('echo up; sleep 1000', {
    signal: given.signal,
    output: async () => given.abort(new Error('cancelled')),
  });
  await t.throwsAsync(lab.engine.steps.run(step), { message: 'cancelled' });
  t.deepEqual(lab.engine.containers.all(), []);
});

test('a step that can not be started says why', async (t) => {
  await t.throwsAsync(lab.engine.steps.run(stepOf('', { args: ['nosuch'] }).step), {
    message: /exec: "nosuch": executable file not found in \$PATH/,
  });
  await t.throwsAsync(lab.engine.steps.run(stepOf('true', { user: 'nosuch' }).step), {
    message: /unable to find user nosuch/,
  });
});
