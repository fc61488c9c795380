// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Dockerfiles have placeholders of their own
import { execFileSync } from 'node:child_process';
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { StepFailed } from '#agent/core/build/output.ts';
import { xattrsOf } from '#agent/core/image/tree/attributes.ts';
import { ShoalError } from '#proto/base/errors.ts';
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

test('copy: names, patterns, folders, owners and modes', async (t) => {
  const bench = await openBench(t);
  const dockerfile = [
    'FROM busybox',
    'WORKDIR /w',
    'COPY a.txt renamed',
    'COPY a.txt sub/',
    'COPY *.txt all/',
    'COPY d?r/ merged',
    'COPY --chown=web:other --chmod=640 a.txt /owned/file',
    'COPY --chown=5:6 dir /owned/dir',
    'COPY ["a.txt", "with space/"]',
    'COPY dir/link /linked',
    'COPY . /everything/',
  ].join('\n');
  const files = {
    '.dockerignore': '# a comment\n*.log\n!keep.log\n**/secret\nDockerfile\n',
    'a.txt': { name: '', content: 'a', mode: 0o600, uid: 33, gid: 33 },
    'b.txt': 'b',
    'drop.log': 'x',
    'keep.log': 'x',
    'dir/in': 'in',
    'dir/secret': 'x',
    'dir/deep/secret': 'x',
    'dir/link': { name: '', type: 'symlink' as const, linkName: 'in' },
    'dir/tool': { name: '', content: 'tool', mode: 0o4755, xattrs: { 'user.note': 'kept' } },
  };
  const { image } = await buildOf(bench, contextOf(dockerfile, files));
  for (const [path, content] of Object.entries({
    'w/renamed': 'a',
    'w/sub/a.txt': 'a',
    'w/all/b.txt': 'b',
    'w/merged/in': 'in',
    'w/with space/a.txt': 'a',
    linked: 'in',
    'everything/keep.log': 'x',
    'everything/dir/in': 'in',
  })) {
    t.is(fileIn(bench, image, path), content, path);
  }
  for (const path of [
    'everything/drop.log',
    'everything/dir/secret',
    'everything/dir/deep/secret',
    'everything/Dockerfile',
  ]) {
    t.is(fileIn(bench, image, path), undefined, path);
  }
  const at = (path: string): string => {
    const layer = bench.store.layers(image.id).find((folder) => fileThere(join(folder, path)));
    return join(layer ?? '', path);
  };
  const [renamed, owned, folder, tool] = ['w/renamed', 'owned/file', 'owned/dir/in', 'w/merged/tool'].map(
    (path) => lstatSync(at(path)),
  );
  t.deepEqual([renamed?.uid, renamed?.gid, (renamed?.mode ?? 0) & 0o777], [0, 0, 0o600]);
  t.deepEqual([owned?.uid, owned?.gid, (owned?.mode ?? 0) & 0o777], [101, 200, 0o640]);
  t.deepEqual([folder?.uid, folder?.gid], [5, 6]);
  t.is((tool?.mode ?? 0) & 0o7777, 0o4755);
  t.is(xattrsOf(at('w/merged/tool')).get('user.note')?.toString(), 'kept');
});

function fileThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

test('copy: the destination’s links lead to where they lead for a container', async (t) => {
  const bench = await openBench(t);
  const dockerfile =
    'FROM busybox\nRUN mkdir -p /real /a && ln -s /real /a/link && ln -s ../../../../real /up\nCOPY f /a/link/\nCOPY f /up/g\n';
  const { image } = await buildOf(bench, contextOf(dockerfile, { f: 'f' }));
  t.is(fileIn(bench, image, 'real/f'), 'f');
  t.is(fileIn(bench, image, 'real/g'), 'f');
});

test('add: archives of the context are unpacked, whatever they are compressed with; other files are copied', async (t) => {
  const bench = await openBench(t);
  const inner = tarOf(
    { name: 'in/file', content: 'unpacked', uid: 12 },
    { name: 'in/link', type: 'symlink', linkName: '/etc' },
  );
  const packed = (program: string): Buffer => execFileSync(program, ['-c'], { input: inner });
  const files = {
    'a.tar': inner,
    'b.tgz': packed('gzip'),
    'c.bin': packed('xz'),
    'd.tar.bz2': packed('bzip2'),
    'e.gz': execFileSync('gzip', ['-c'], { input: 'only a file' }),
  };
  const dockerfile = ['a.tar', 'b.tgz', 'c.bin', 'd.tar.bz2', 'e.gz']
    .map((name) => `ADD ${name} /${name}.out/`)
    .join('\n');
  const { image } = await buildOf(
    bench,
    contextOf(`FROM busybox\n${dockerfile}\nCOPY a.tar /kept/\n`, files),
  );
  for (const name of ['a.tar', 'b.tgz', 'c.bin', 'd.tar.bz2']) {
    t.is(fileIn(bench, image, `${name}.out/in/file`), 'unpacked', name);
  }
  t.not(fileIn(bench, image, 'e.gz.out/e.gz'), undefined);
  t.not(fileIn(bench, image, 'kept/a.tar'), undefined);
});

test('add: an archive that leads out of its folder is refused, and nothing is left', async (t) => {
  const bench = await openBench(t);
  const evil = tarOf({ name: '../../../../../../../../tmp/shoal-test-evil', content: 'x' });
  await t.throwsAsync(buildOf(bench, contextOf('FROM busybox\nADD evil.tar /x/\n', { 'evil.tar': evil })), {
    message: /is outside of the directory/,
  });
  t.deepEqual(leftovers(bench), []);
});

test('metadata: what instructions say is in the image, as Docker writes it down', async (t) => {
  const bench = await openBench(t);
  const dockerfile = [
    'FROM busybox',
    'MAINTAINER me',
    'ENV A=1 B="two words"',
    'ENV A $B',
    'LABEL "a.b"=c d="e f"',
    'EXPOSE 80 443/tcp 53/udp 8000-8001',
    'VOLUME /data /more',
    'VOLUME ["/json"]',
    'USER web',
    'WORKDIR sub',
    'WORKDIR dir/../other',
    'STOPSIGNAL SIGINT',
    'HEALTHCHECK --interval=1m30s --timeout=500ms --retries=3 CMD curl localhost',
    'ONBUILD RUN echo triggered',
    'ENTRYPOINT ["/bin/echo"]',
    'CMD a $A',
  ].join('\n');
  const { image } = await buildOf(bench, contextOf(dockerfile), { labels: { late: '$A' } });
  const { Env, ...run } = image.config.config ?? {};
  t.deepEqual(Env?.slice(1), ['A=two words', 'B=two words']);
  t.deepEqual(run, {
    User: 'web',
    ExposedPorts: { '80/tcp': {}, '443/tcp': {}, '53/udp': {}, '8000/tcp': {}, '8001/tcp': {} },
    Entrypoint: ['/bin/echo'],
    Cmd: ['/bin/sh', '-c', 'a $A'],
    Volumes: { '/data': {}, '/more': {}, '/json': {} },
    WorkingDir: '/sub/other',
    Labels: { 'a.b': 'c', d: 'e f', late: '$A' },
    StopSignal: 'SIGINT',
    Healthcheck: { Test: ['CMD-SHELL', 'curl localhost'], Interval: 90e9, Timeout: 500e6, Retries: 3 },
    OnBuild: ['RUN echo triggered'],
  });
  t.is(image.config.author, 'me');
  const history = image.config.history?.map(({ created_by }) => created_by) ?? [];
  t.true(
    history.includes(
      '/bin/sh -c #(nop)  HEALTHCHECK &{["CMD-SHELL" "curl localhost"] "1m30s" "500ms" "0s" "0s" \'\\x03\'}',
    ),
  );
  t.is(history.at(-1), '/bin/sh -c #(nop)  LABEL late=$A');
});

test('onbuild: triggers of the base are done at the start, and end there', async (t) => {
  const bench = await openBench(t);
  await buildOf(bench, contextOf('FROM busybox\nONBUILD COPY app /app\nONBUILD RUN cat /app > /seen\n'), {
    tags: ['onbuild'],
  });
  const { image, out } = await buildOf(bench, contextOf('FROM onbuild\n', { app: 'mine' }));
  t.is(fileIn(bench, image, 'seen'), 'mine');
  t.is(image.config.config?.OnBuild, undefined);
  t.deepEqual(out.lines().slice(0, 2), ['Step 1/1 : FROM onbuild', '# Executing 2 build triggers']);
});

test('args: where they hold, and what is said of those that nobody wanted', async (t) => {
  const bench = await openBench(t);
  const dockerfile = [
    'ARG META=m',
    'FROM busybox AS one',
    'ARG META',
    'ARG OWN=o',
    'RUN echo "$META $OWN $http_proxy" > /one',
    'FROM busybox',
    'COPY --from=one /one /one',
    'RUN echo "[$META$OWN]" > /two',
    'ARG TARGETOS',
    'RUN echo $TARGETOS > /three',
  ].join('\n');
  const given = new Map([
    ['OWN', 'given'],
    ['http_proxy', 'http://proxy'],
    ['UNKNOWN', 'x'],
    ['ALSO', 'y'],
  ]);
  const { image, out } = await buildOf(bench, contextOf(dockerfile), { buildArgs: given });
  t.is(fileIn(bench, image, 'one'), 'm given http://proxy\n');
  t.is(fileIn(bench, image, 'two'), '[]\n');
  t.is(fileIn(bench, image, 'three'), 'linux\n');
  t.true(out.said.includes('[Warning] One or more build-args [ALSO UNKNOWN] were not consumed\n'));
  const other = await buildOf(bench, contextOf(dockerfile), {
    buildArgs: new Map([...given, ['http_proxy', 'other']]),
  });
  t.is(other.image.id, image.id, 'proxies do not count for the cache');
  t.false(JSON.stringify(image.config).includes('http://proxy'));
});

const FAILURES: readonly [what: string, dockerfile: string, message: string | RegExp][] = [
  [
    'an unknown instruction',
    'FROM busybox\n\nFETCH x\n',
    'dockerfile parse error line 3: unknown instruction: FETCH',
  ],
  [
    'an unknown flag',
    'FROM busybox\nCOPY --unknown=1 a b\n',
    'dockerfile parse error line 2: unknown flag: --unknown',
  ],
  [
    'a flag of another builder',
    'FROM busybox\nRUN --mount=type=cache,target=/x true\n',
    /line 2: the --mount option is not supported/,
  ],
  ['a bad stage name', 'FROM busybox AS 1a\n', /line 1: invalid name for build stage: "1a"/],
  ['no stage', 'RUN true\n', 'dockerfile parse error line 1: no build stage in current context'],
  ['only comments', '# nothing\n', 'file with no instructions'],
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
    'a remote source',
    'FROM busybox\nADD https://x.example/y /\n',
    /^ADD failed: https:\/\/x\.example\/y: remote sources are not supported/,
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

test('build: a step of a scratch image runs as well, when what it needs was copied', async (t) => {
  const bench = await openBench(t);
  await makeImage(bench.store, { files: [{ name: 'x', content: 'x' }], name: 'tiny' });
  const dockerfile =
    'FROM scratch\nARG A=1\nCOPY --from=busybox /bin /bin\nRUN ["/bin/sh", "-c", "echo $A > /a"]\n';
  const { image, out } = await buildOf(bench, contextOf(dockerfile));
  t.is(out.lines()[1], ' ---> ');
  t.is(fileIn(bench, image, 'a'), '1\n');
});
