// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Dockerfiles have placeholders of their own
import test from 'ava';
import { ShoalError } from '#proto/base/errors.ts';
import { buildOf, contextOf, fileIn, Lines, leftovers, openBench } from './support.ts';

const FAILURES: readonly [what: string, dockerfile: string, message: string | RegExp][] = [
  [
    'an unknown instruction',
    'FROM busybox\n\nFETCH x\n',
    'dockerfile parse error on line 3: unknown instruction: FETCH',
  ],
  [
    'an unknown flag',
    'FROM busybox\nCOPY --unknown=1 a b\n',
    'dockerfile parse error on line 2: unknown flag: --unknown',
  ],
  [
    'a flag of another builder',
    'FROM busybox\nRUN --mount=type=cache,target=/x true\n',
    /on line 2: the --mount option is not supported/,
  ],
  ['a bad stage name', 'FROM busybox AS 1a\n', /line 1: invalid name for build stage: "1a"/],
  ['no stage', 'RUN true\n', 'no build stage in current context'],
  ['only comments', '# nothing\n', 'failed to parse Dockerfile: file with no instructions'],
  ['an empty file', '', 'the Dockerfile (Dockerfile) cannot be empty'],
  [
    'a file that is not there',
    'FROM busybox\nCOPY nofile /\n',
    'COPY failed: file not found in build context or excluded by .dockerignore: stat nofile: file does not exist',
  ],
  [
    'a file outside of the context',
    'FROM busybox\nADD ../x /\n',
    'ADD failed: forbidden path outside the build context: ../x ()',
  ],
  [
    'a pattern that matches nothing',
    'FROM busybox\nCOPY *.none /\n',
    'COPY failed: no source files were specified',
  ],
  [
    'many files to a file',
    'FROM busybox\nCOPY a b /c\n',
    'When using COPY with more than one source file, the destination must be a directory and end with a /',
  ],
  [
    'an unknown user',
    'FROM busybox\nCOPY --chown=nobody a /\n',
    "unable to convert uid/gid chown string to host mapping: can't find uid for user nobody: no such user: nobody",
  ],
  ['a bad mode', 'FROM busybox\nCOPY --chmod=rwx a /\n', /^invalid chmod parameter: 'rwx'/],
  [
    'a stage not there yet',
    'FROM busybox\nCOPY --from=3 a /\n',
    'invalid from flag value 3: index out of bounds',
  ],
  [
    'the stage itself',
    'FROM busybox\nCOPY --from=0 a /\n',
    'invalid from flag value 0: refers to current build stage',
  ],
  ['a blank base', 'FROM $NONE\n', 'base name ($NONE) should not be blank'],
  ['a bad signal', 'FROM busybox\nSTOPSIGNAL SIGWHAT\n', 'invalid signal: SIGWHAT'],
  ['a bad port', 'FROM busybox\nEXPOSE 99999\n', 'invalid containerPort: 99999'],
  ['a bad substitution', 'FROM busybox\nENV A=${}\n', /bad substitution/],
  [
    'a repository as source',
    'FROM busybox\nADD git@x.example:y.git /\n',
    /^ADD failed: git@x\.example:y\.git: only http and https sources are supported/,
  ],
  [
    'a source where nobody listens',
    'FROM busybox\nADD http://127.0.0.1:1/y /\n',
    'ADD failed: Get "http://127.0.0.1:1/y": dial tcp 127.0.0.1:1: connect: connection refused',
  ],
  ['two stages of one name', 'FROM busybox AS a\nFROM busybox AS a\n', 'a stage name already used'],
  ['nothing at all in the image', 'FROM scratch\n', 'No image was generated. Is your Dockerfile empty?'],
  ['a file where a folder is wanted', 'FROM busybox\nCOPY a /etc/passwd/\n', /^cannot copy to non-directory/],
];

for (const [what, dockerfile, message] of FAILURES) {
  test(`failures: ${what}`, async (t) => {
    const bench = await openBench(t);
    const error = await t.throwsAsync(buildOf(bench, contextOf(dockerfile, { a: 'a', b: 'b' })), {
      instanceOf: ShoalError,
      message,
    });
    t.not((error as ShoalError | undefined)?.code, 'INTERNAL');
    t.deepEqual(leftovers(bench), []);
  });
}

test('failures: a base that is nowhere is said as the pull of it says', async (t) => {
  const bench = await openBench(t);
  await t.throwsAsync(buildOf(bench, contextOf('FROM 127.0.0.1:1/none\n')), {
    message: 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
  });
});

test('cancel: a build whose client left ends at once, and leaves nothing', async (t) => {
  const bench = await openBench(t);
  const leaving = new AbortController();
  const out = new Lines();
  out.text = (text) => {
    out.said += text;
    if (text === 'started\n') leaving.abort(new ShoalError('CANCELLED', 'gone'));
    return Promise.resolve();
  };
  const context = contextOf('FROM busybox\nRUN echo started; sleep 1000\n');
  await t.throwsAsync(buildOf(bench, context, { tags: ['app'] }, { out, signal: leaving.signal }), {
    message: 'gone',
  });
  t.deepEqual(leftovers(bench), []);
  t.throws(() => bench.store.resolve('app'));
});

test('prune: nothing takes away what a build under way stands on', async (t) => {
  const bench = await openBench(t);
  const { pruneImages } = await import('#agent/core/image/prune.ts');
  const { run } = bench.runner;
  bench.runner.run = async (step) => {
    await pruneImages(bench.store, new Map());
    return await run.call(bench.runner, step);
  };
  const { image } = await buildOf(
    bench,
    contextOf('FROM busybox\nRUN echo 1 > /1\nRUN echo 2 > /2\nRUN echo 3 > /3\n'),
  );
  t.is(fileIn(bench, image, '1'), '1\n');
  t.is(fileIn(bench, image, '3'), '3\n');
});
