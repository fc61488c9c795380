import test from 'ava';
import { applyChanges } from '#agent/core/build/changes.ts';
import { BuildArgs } from '#agent/core/build/language/build-args.ts';
import { duration, quoted, quotedHealthcheck, quotedList } from '#agent/core/build/language/format.ts';
import { destinationIn, workdirIn } from '#agent/core/build/workdir.ts';
import { ShoalError } from '#proto/base/errors.ts';

test('history: values are written as Go writes them', (t) => {
  t.is(quoted('a "b"\n'), '"a \\"b\\"\\n"');
  t.is(quotedList(['a', 'b c']), '["a" "b c"]');
  t.is(quotedList([]), '[]');
  t.deepEqual([0, 5, 5_000, 1_500_000, 1_500_000_000, 90e9, 3600e9, 5400.5e9].map(duration), [
    '0s',
    '5ns',
    '5µs',
    '1.5ms',
    '1.5s',
    '1m30s',
    '1h0m0s',
    '1h30m0.5s',
  ]);
  t.is(quotedHealthcheck({ Test: ['NONE'] }), `&{["NONE"] "0s" "0s" "0s" "0s" '\\x00'}`);
});

test('workdir: relative ones go on from the last, and none leads above the root', (t) => {
  t.is(workdirIn(undefined, 'a'), '/a');
  t.is(workdirIn('/a', 'b/../c/'), '/a/c');
  t.is(workdirIn('/a', '/b'), '/b');
  t.is(workdirIn('/a', '../../..'), '/');
  t.is(destinationIn('/w', '.'), '/w/');
  t.is(destinationIn('/w', 'a'), '/w/a');
  t.is(destinationIn('/w', '/a/'), '/a/');
  t.is(destinationIn(undefined, './'), '/');
});

test('changes: instructions that say how an image is run change just that', (t) => {
  const run = applyChanges({ Env: ['A=1'], Cmd: ['old'] }, [
    'ENV B=$A',
    'ENTRYPOINT ["/x"]',
    'WORKDIR sub',
    'EXPOSE 80',
    'LABEL l=1',
  ]);
  t.deepEqual(run, {
    Env: ['A=1', 'B=1'],
    Cmd: null,
    Entrypoint: ['/x'],
    WorkingDir: '/sub',
    ExposedPorts: { '80/tcp': {} },
    Labels: { l: '1' },
  });
  t.deepEqual(applyChanges({ Cmd: ['old'] }, ['', ' ']), { Cmd: ['old'] });
});

for (const [change, message] of [
  ['RUN x', /^run is not a valid change command$/],
  ['FROM x', /unknown instruction: FROM/],
  ['NOPE x', /unknown instruction: NOPE/],
  ['ENV a', /^ENV must have two arguments$/],
] as const) {
  test(`changes: ${change} is refused`, (t) => {
    const error = t.throws(() => applyChanges({}, [change]), { instanceOf: ShoalError, message });
    t.is((error as ShoalError | undefined)?.code, 'INVALID_ARGUMENT');
  });
}

test('args: given values win over defaults, and those of the whole file over none', (t) => {
  const args = new BuildArgs(
    new Map([
      ['GIVEN', 'g'],
      ['HTTP_PROXY', 'p'],
      ['LOST', 'l'],
    ]),
    new Map([['TARGETARCH', 'amd64']]),
  );
  args.declareMeta('GIVEN', 'default');
  args.declareMeta('FILE', 'f');
  t.deepEqual(Object.fromEntries(args.meta()), {
    TARGETARCH: 'amd64',
    GIVEN: 'g',
    FILE: 'f',
    HTTP_PROXY: 'p',
  });
  t.deepEqual(Object.fromEntries(args.stage()), { HTTP_PROXY: 'p' }, 'a stage sees what it declares');
  for (const name of ['GIVEN', 'FILE', 'UNSET', 'TARGETARCH']) args.declare(name, undefined);
  args.declare('OWN', 'o');
  t.deepEqual(Object.fromEntries(args.stage()), {
    GIVEN: 'g',
    FILE: 'f',
    TARGETARCH: 'amd64',
    OWN: 'o',
    HTTP_PROXY: 'p',
  });
  t.false(args.counts('HTTP_PROXY'));
  args.endStage();
  t.deepEqual(Object.fromEntries(args.stage()), { HTTP_PROXY: 'p' });
  t.deepEqual(args.unused(), ['LOST']);
});
