import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import { LIGHT_INPUT_BYTES_MAX, runLightProgram } from '#agent/core/linux/light-program.ts';
import { createNamespace, removeNamespace } from '#agent/core/linux/netns.ts';
import { systemClock } from '#proto/base/clock.ts';

/* Programs started without a copy of the process that starts them. */

const modules = { clock: systemClock };

test.serial('light program: reads its input to the end, and tells its code and what it said', async (t) => {
  const input = 'x'.repeat(LIGHT_INPUT_BYTES_MAX);
  const end = await runLightProgram(undefined, ['sh', '-c', 'cat >&2; echo lost; exit 3'], input, modules);
  t.deepEqual(end, { code: 3, stderr: input });
});

test.serial(
  'light program: many at once each get their own answer, and none is left uncollected',
  async (t) => {
    const numbers = Array.from({ length: 40 }, (_, index) => index);
    const ends = await Promise.all(
      numbers.map((number) => runLightProgram(undefined, ['sh', '-c', 'cat >&2'], String(number), modules)),
    );
    t.deepEqual(
      ends.map(({ stderr }) => stderr),
      numbers.map(String),
    );
    t.deepEqual(children('Z'), []);
  },
);

test.serial('light program: runs in the namespace asked for, and leaves us in ours', async (t) => {
  const own = readFileSync('/proc/thread-self/net/dev', 'utf8');
  const path = `/run/shoal-test-light-${process.pid}`;
  createNamespace(path);
  t.teardown(() => removeNamespace(path));
  const { stderr } = await runLightProgram(path, ['sh', '-c', 'cat /proc/self/net/dev >&2'], '', modules);
  t.regex(stderr, /^\s*lo:/m);
  t.notRegex(stderr, /^\s*(eth|en)/m);
  t.is(names(readFileSync('/proc/thread-self/net/dev', 'utf8')), names(own));
});

test.serial('light program: what is not there, and what ends by a signal, is told', async (t) => {
  const missing = await t.throwsAsync(runLightProgram(undefined, ['no-such-program'], '', modules));
  t.regex(missing.message, /^no-such-program can't be run: it is not in /);
  const killed = runLightProgram(undefined, ['sh', '-c', 'kill -9 $$'], '', modules);
  await t.throwsAsync(killed, { message: 'sh was ended by signal 9' });
});

test.serial('light program: one that takes too long is ended', async (t) => {
  const impatient = {
    timer: (ms: number, fire: () => void) => systemClock.timer(ms >= 60_000 ? 0 : ms, fire),
  };
  const hanging = runLightProgram(undefined, ['sleep', '1000'], '', { clock: impatient });
  await t.throwsAsync(hanging, { message: 'sleep was ended by signal 9' });
});

function names(table: string): string {
  return [...table.matchAll(/^\s*(\S+):/gm)].map(([, name]) => name).join();
}

/** Our children in this state (proc(5)). */
function children(state: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    const stat = statOf(pid);
    const [is, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return is === state && Number(parent) === process.pid;
  });
}

function statOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return '';
  }
}
