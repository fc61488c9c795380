// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Dockerfiles have placeholders of their own
import { execFileSync } from 'node:child_process';
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { StepFailed } from '#agent/core/build/output.ts';
import { makeImage, tarOf } from '../image/support.ts';
import { buildOf, contextOf, fileIn, Lines, leftovers, openBench } from './support.ts';

test('build: says what it does as Docker says it, and leaves nothing but the image', async (t) => {
  const bench = await openBench(t);
  const context = contextOf(
    [
      'FROM busybox',
      'LABEL tier=web',
      'COPY hello.txt /srv/',
      'RUN echo one > /srv/one && echo done',
      'CMD ["cat", "/srv/one"]',
      '',
    ].join('\n'),
    { 'hello.txt': 'hello' },
  );
  const { image, out } = await buildOf(bench, context, { tags: ['me/app:1', 'me/app:2'] });
  t.deepEqual(out.lines(), [
    'Step 1/5 : FROM busybox',
    ' ---> <1>',
    'Step 2/5 : LABEL tier=web',
    ' ---> Running in <2>',
    ' ---> Removed intermediate container <2>',
    ' ---> <3>',
    'Step 3/5 : COPY hello.txt /srv/',
    ' ---> <4>',
    'Step 4/5 : RUN echo one > /srv/one && echo done',
    ' ---> Running in <5>',
    'done',
    ' ---> Removed intermediate container <5>',
    ' ---> <6>',
    'Step 5/5 : CMD ["cat", "/srv/one"]',
    ' ---> Running in <7>',
    ' ---> Removed intermediate container <7>',
    ' ---> <8>',
    'Successfully built <8>',
    'Successfully tagged me/app:1',
    'Successfully tagged me/app:2',
  ]);
  t.true(out.said.includes(bench.base.id.slice(7, 19)));
  t.deepEqual(out.ids, [image.id]);
  t.is(bench.store.resolve('me/app:2'), image.id);
  t.is(fileIn(bench, image, 'srv/hello.txt'), 'hello');
  t.is(fileIn(bench, image, 'srv/one'), 'one\n');
  t.like(image.config.config, { Cmd: ['cat', '/srv/one'], Labels: { tier: 'web' } });
  t.is(image.config.rootfs.diff_ids.length, 3);
  t.deepEqual(
    image.config.history
      ?.slice(1)
      .map(({ created_by, empty_layer }) => [
        created_by?.replace(/file:[0-9a-f]{64}/, 'file:X'),
        empty_layer ?? false,
      ]),
    [
      ['/bin/sh -c #(nop)  LABEL tier=web', true],
      ['/bin/sh -c #(nop) COPY file:X in /srv/ ', false],
      ['/bin/sh -c echo one > /srv/one && echo done', false],
      ['/bin/sh -c #(nop)  CMD ["cat" "/srv/one"]', true],
    ],
  );
  t.deepEqual(leftovers(bench), []);
});

test('build: an image has a manifest that others can fetch and other tools can read', async (t) => {
  const bench = await openBench(t);
  const { image } = await buildOf(bench, contextOf('FROM busybox\nRUN rm /etc/group; echo x > /new\n'), {
    tags: ['app:v1'],
  });
  t.true(bench.images.has(image.manifest.digest));
  const bundle = join(bench.store.root, 'tmp', 'bundle');
  execFileSync('umoci', ['unpack', '--image', `${bench.store.root}:v1`, bundle], { stdio: 'pipe' });
  t.deepEqual(readdirSync(join(bundle, 'rootfs/etc')), ['passwd']);
  t.true(readdirSync(join(bundle, 'rootfs')).includes('new'));
});

test('cache: the same again is taken from the last build; what changed and all after it is done', async (t) => {
  const bench = await openBench(t);
  const dockerfile = 'FROM busybox\nENV A=1\nCOPY file /\nRUN cat /file > /copy\nWORKDIR /new\nCMD x\n';
  const first = await buildOf(bench, contextOf(dockerfile, { file: 'one' }));
  const again = await buildOf(bench, contextOf(dockerfile, { file: 'one' }));
  t.is(again.image.id, first.image.id);
  t.deepEqual(again.out.lines().filter((line) => line === ' ---> Using cache').length, 5);
  t.is(bench.runner.steps.length, 1);
  const changed = await buildOf(bench, contextOf(dockerfile, { file: 'two' }));
  t.deepEqual(changed.out.lines().filter((line) => line === ' ---> Using cache').length, 1);
  t.is(fileIn(bench, changed.image, 'copy'), 'two');
  const touched = tarOf(
    { name: 'Dockerfile', content: dockerfile },
    { name: 'file', content: 'one', mtime: 1_700_000_000, uid: 7 },
  );
  t.is((await buildOf(bench, touched)).image.id, first.image.id, 'times and owners of files do not count');
  const mode = await buildOf(
    bench,
    contextOf(dockerfile, { file: { name: 'file', content: 'one', mode: 0o755 } }),
  );
  t.not(mode.image.id, first.image.id, 'modes do');
  const fresh = await buildOf(bench, contextOf(dockerfile, { file: 'one' }), { noCache: true });
  t.not(fresh.image.id, first.image.id);
  t.false(fresh.out.said.includes('Using cache'));
});

test('cache: a build goes on where a failed one stopped', async (t) => {
  const bench = await openBench(t);
  await t.throwsAsync(buildOf(bench, contextOf('FROM busybox\nRUN echo 1 > /1\nRUN false\n')));
  const { out } = await buildOf(bench, contextOf('FROM busybox\nRUN echo 1 > /1\nRUN true\n'));
  t.is(out.lines()[3], ' ---> Using cache');
  t.deepEqual(leftovers(bench), []);
});

test('run: a command that fails ends the build, with its exit code and Docker’s words', async (t) => {
  const bench = await openBench(t);
  const out = new Lines();
  const failing = buildOf(
    bench,
    contextOf('FROM busybox\nRUN echo oops >&2; exit 7\n'),
    { tags: ['app'] },
    { out },
  );
  const error = (await t.throwsAsync(failing, { instanceOf: StepFailed })) as StepFailed;
  t.is(error.message, "The command '/bin/sh -c echo oops >&2; exit 7' returned a non-zero code: 7");
  t.is(error.exitCode, 7);
  t.is(out.errors, 'oops\n');
  t.false(out.said.includes('Removed intermediate container'));
  t.throws(() => bench.store.resolve('app'), { message: 'No such image: app:latest' });
  t.deepEqual(leftovers(bench), []);
});

test('run: both forms, the user, the folder, variables and another shell', async (t) => {
  const bench = await openBench(t);
  const dockerfile = [
    'FROM busybox',
    'ARG WHAT=default',
    'ENV GREETING="good day"',
    'WORKDIR /srv/app',
    'RUN mkdir -p /out && chmod 777 /out && pwd > /out/pwd && echo "$GREETING $WHAT" > /out/env',
    'RUN ["/bin/sh", "-c", "echo exec > /out/exec"]',
    'USER web:other',
    'RUN id -u > /out/id; id -g >> /out/id',
    'USER root',
    'SHELL ["/bin/sh", "-x", "-c"]',
    'RUN echo traced > /out/shell',
  ].join('\n');
  const out = new Lines();
  const { image } = await buildOf(
    bench,
    contextOf(dockerfile),
    { buildArgs: new Map([['WHAT', 'given']]) },
    { out },
  );
  t.is(fileIn(bench, image, 'out/pwd'), '/srv/app\n');
  t.is(fileIn(bench, image, 'out/env'), 'good day given\n');
  t.is(fileIn(bench, image, 'out/exec'), 'exec\n');
  t.is(fileIn(bench, image, 'out/id'), '101\n200\n');
  t.is(out.errors, '+ echo traced\n');
  t.true(
    image.config.history?.some(({ created_by }) => created_by?.startsWith('|1 WHAT=given /bin/sh -c mkdir')),
  );
  t.deepEqual(
    image.config.config?.Env?.filter((item) => item.startsWith('WHAT')),
    [],
  );
});

test('run: heredocs are scripts, of the shell or of what they name, and input for others', async (t) => {
  const bench = await openBench(t);
  const dockerfile = [
    'FROM busybox',
    'RUN <<EOF',
    'echo first > /one',
    'echo second >> /one',
    'EOF',
    'RUN cat > /two <<"EOF" && cat > /three <<-OTHER',
    '$not expanded',
    'EOF',
    '\ttabs go',
    'OTHER',
    'RUN <<EOF',
    '#!/bin/cat',
    'the interpreter read this',
    'EOF',
    'COPY <<a.txt <<"b.txt" /files/',
    'version $VERSION',
    'a.txt',
    'version $VERSION',
    'b.txt',
  ].join('\n');
  const { image, out } = await buildOf(
    bench,
    contextOf(dockerfile.replace('FROM busybox', 'FROM busybox\nENV VERSION=5')),
  );
  t.is(fileIn(bench, image, 'one'), 'first\nsecond\n');
  t.is(fileIn(bench, image, 'two'), '$not expanded\n');
  t.is(fileIn(bench, image, 'three'), 'tabs go\n');
  t.true(out.said.includes('the interpreter read this'));
  t.is(fileIn(bench, image, 'files/a.txt'), 'version 5\n');
  t.is(fileIn(bench, image, 'files/b.txt'), 'version $VERSION\n');
});

test('run: changes nothing, adds no layer', async (t) => {
  const bench = await openBench(t);
  const { image } = await buildOf(bench, contextOf('FROM busybox\nRUN true\n'));
  t.deepEqual(image.config.rootfs, bench.base.config.rootfs);
  t.true(image.config.history?.at(-1)?.empty_layer);
});

test('stages: by name and number, each on another or on nothing; only the wanted one is kept', async (t) => {
  const bench = await openBench(t);
  const dockerfile = [
    'ARG TAG=latest',
    'FROM busybox:$TAG AS First',
    'RUN mkdir /out && echo 1 > /out/one && ln -s one /out/link',
    'FROM first AS second',
    'RUN echo 2 > /out/two',
    'FROM scratch',
    'COPY --from=second /out /copied',
    'COPY --from=0 /out/link /file',
    'COPY --from=busybox /bin/busybox /bin/',
    'FROM busybox AS never',
    'RUN exit 1',
  ].join('\n');
  const { image, out } = await buildOf(bench, contextOf(dockerfile), { target: '2' });
  t.is(out.lines()[0], 'Step 1/9 : ARG TAG=latest');
  t.is(out.lines()[1], 'Step 2/9 : FROM busybox:$TAG AS First');
  t.is(fileIn(bench, image, 'copied/two'), '2\n');
  t.is(fileIn(bench, image, 'file'), '1\n', 'a link that is named is followed');
  const [, files] = bench.store.layers(image.id).toReversed().entries().toArray()[0] ?? [];
  t.true(lstatSync(join(files ?? '', 'copied/link')).isSymbolicLink(), 'one in a folder stays one');
  t.is(image.config.rootfs.diff_ids.length, 3);
  t.is(out.ids.length, 3);
  const named = await buildOf(bench, contextOf(dockerfile), { target: 'Second' });
  t.is(fileIn(bench, named.image, 'out/two'), '2\n');
  await t.throwsAsync(buildOf(bench, contextOf(dockerfile), { target: 'third' }), {
    message: 'target stage "third" could not be found',
  });
});

test('build: a step of a scratch image runs as well, when what it needs was copied', async (t) => {
  const bench = await openBench(t);
  await makeImage(bench.store, { files: [{ name: 'x', content: 'x' }], name: 'tiny' });
  const dockerfile =
    'FROM scratch\nARG A=1\nCOPY --from=busybox /bin /bin\nRUN ["/bin/sh", "-c", "echo $A > /a"]\n';
  const { image, out } = await buildOf(bench, contextOf(dockerfile));
  t.is(out.lines()[1], ' ---> ');
  t.is(fileIn(bench, image, 'a'), '1\n');
});
