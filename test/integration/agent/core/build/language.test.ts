// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Dockerfiles have placeholders of their own
import test from 'ava';
import type { BuildOptions } from '#agent/core/build/build.ts';
import type { RunConfig } from '#agent/core/image/oci.ts';
import { tarOf } from '../image/support.ts';
import { buildOf, contextOf, type Files, fileIn, openBench } from './support.ts';

/*
 * The Dockerfile language as dockerd's classic builder has it: each case was given to that as well, and led to the same.
 */

interface Case {
  readonly dockerfile: readonly string[];
  readonly files?: Files;
  readonly options?: Partial<Omit<BuildOptions, 'tags'>>;
  /** What the image says about running it, as far as the case is about it. */
  readonly run?: RunConfig;
  /** Files of the image. */
  readonly has?: Readonly<Record<string, string>>;
}

const ENVIRONMENT = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'];
const ARCHIVE = tarOf({ name: 'in/a', content: 'aa', uid: 7, gid: 8, mode: 0o640 });
const LIST = (...folders: readonly string[]): string =>
  `RUN find ${folders.join(' ')} -exec stat -c "%n %a %u:%g" {} \\; | sort > /list`;

const CASES: Readonly<Record<string, Case>> = {
  'variables have the operators of the shell': {
    dockerfile: [
      'ARG A=foobar.tar.gz',
      'ENV E1=${A#*.} E2=${A##*.} E3=${A%.*} E4=${A%%.*}',
      'ENV D1=${NOPE:-def} D2=${NOPE-def2} D3=${A:+set} D4=${A+set2} D5=${NOPE:+x}end',
    ],
    run: {
      Env: [
        ...ENVIRONMENT,
        ...['E1=tar.gz', 'E2=gz', 'E3=foobar.tar', 'E4=foobar'],
        ...['D1=def', 'D2=def2', 'D3=set', 'D4=set2', 'D5=end'],
      ],
    },
  },
  'quotes and escapes protect, and the old form takes the whole line': {
    dockerfile: [
      'ENV A=x',
      `ENV Q1="a b $A" Q2='lit $A' Q3=a\\ b Q4=\\$A`,
      'ENV old style value with  spaces',
    ],
    run: {
      Env: [
        ...ENVIRONMENT,
        'A=x',
        'Q1=a b x',
        'Q2=lit $A',
        'Q3=a b',
        'Q4=$A',
        'old=style value with  spaces',
      ],
    },
  },
  'settings are what they say': {
    dockerfile: [
      'LABEL "b c"="d e" multi="x\\\ny"',
      'EXPOSE 80 53/udp 90-92',
      'VOLUME /v1 /v2',
      'VOLUME ["/v3"]',
      'STOPSIGNAL SIGINT',
      'USER 3:4',
      'WORKDIR /w/x',
      'WORKDIR sub',
      'WORKDIR ../other',
    ],
    run: {
      Labels: { 'b c': 'd e', multi: 'xy' },
      ExposedPorts: { '80/tcp': {}, '53/udp': {}, '90/tcp': {}, '91/tcp': {}, '92/tcp': {} },
      Volumes: { '/v1': {}, '/v2': {}, '/v3': {} },
      StopSignal: 'SIGINT',
      User: '3:4',
      WorkingDir: '/w/x/other',
    },
  },
  'a shell of its own runs commands; CMD stays as a list': {
    dockerfile: ['SHELL ["/bin/sh","-ec"]', 'ENTRYPOINT echo $HOME', 'CMD ["a","b"]'],
    run: { Entrypoint: ['/bin/sh', '-ec', 'echo $HOME'], Cmd: ['a', 'b'], Shell: ['/bin/sh', '-ec'] },
  },
  'ENTRYPOINT takes away the CMD of the base, not that of its own stage': {
    dockerfile: ['CMD ["a","b"]', 'ENTRYPOINT ["x"]'],
    run: { Entrypoint: ['x'], Cmd: ['a', 'b'] },
  },
  'health checks have their times': {
    dockerfile: [
      'HEALTHCHECK --interval=5s --timeout=3s --start-period=1m --retries=4 CMD curl -f http://x || exit 1',
    ],
    run: {
      Healthcheck: {
        Test: ['CMD-SHELL', 'curl -f http://x || exit 1'],
        Interval: 5e9,
        Timeout: 3e9,
        StartPeriod: 60e9,
        Retries: 4,
      },
    },
  },
  'health checks can be switched off': {
    dockerfile: ['HEALTHCHECK CMD ["a","b"]', 'HEALTHCHECK NONE'],
    run: { Healthcheck: { Test: ['NONE'] } },
  },
  'triggers are kept for who builds on it': {
    dockerfile: ['ONBUILD RUN echo hi > /onb', 'ONBUILD ENV X=y'],
    run: { OnBuild: ['RUN echo hi > /onb', 'ENV X=y'] },
  },
  'build arguments reach commands and ENV when they are declared': {
    dockerfile: ['ARG A', 'ARG B=b', 'RUN echo "$A $B $C" > /args', 'ENV A2=$A'],
    options: { buildArgs: new Map([['A', 'aa']]) },
    run: { Env: [...ENVIRONMENT, 'A2=aa'] },
    has: { args: 'aa b \n' },
  },
  'what .dockerignore names is not there, unless it takes it back': {
    dockerfile: ['COPY . /ctx', 'RUN find /ctx | sort > /list'],
    files: {
      '.dockerignore': '# c\n*.md\n!keep.md\n.git\n**/z.md\nd/y*\n',
      'a.txt': '1',
      'b.md': '2',
      'keep.md': '3',
      'd/x.md': '4',
      'd/y.txt': '5',
      'd/e/z.md': '6',
      '.git/config': 'g',
    },
    has: {
      list: [
        '/ctx',
        '/ctx/.dockerignore',
        '/ctx/Dockerfile',
        '/ctx/a.txt',
        '/ctx/d',
        '/ctx/d/e',
        '/ctx/d/x.md',
        '/ctx/keep.md',
        '',
      ].join('\n'),
    },
  },
  'COPY takes patterns, the content of folders, and names with blanks': {
    dockerfile: [
      'COPY a* dir /dest/',
      'COPY dir/f /dest3',
      'COPY ["sp ace","/dest4/"]',
      'COPY --chown=5:6 --chmod=0640 a1 /m',
      LIST('/dest', '/dest3', '/dest4', '/m'),
    ],
    files: { a1: '1', a2: '2', 'dir/f': 'f', 'dir/sub/g': 'g', 'sp ace': 's' },
    has: {
      list: [
        '/dest 755 0:0',
        '/dest/a1 644 0:0',
        '/dest/a2 644 0:0',
        '/dest/f 644 0:0',
        '/dest/sub 755 0:0',
        '/dest/sub/g 644 0:0',
        '/dest3 644 0:0',
        '/dest4 755 0:0',
        '/dest4/sp ace 644 0:0',
        '/m 640 5:6',
        '',
      ].join('\n'),
    },
  },
  'ADD unpacks archives with their owners, and copies what only has the name of one': {
    dockerfile: ['ADD x.tar /t/', 'ADD notar.tar /n/', LIST('/t', '/n')],
    files: { 'x.tar': ARCHIVE, 'notar.tar': 'plain' },
    has: {
      list: ['/n 755 0:0', '/n/notar.tar 644 0:0', '/t 755 0:0', '/t/in 755 0:0', '/t/in/a 640 7:8', ''].join(
        '\n',
      ),
    },
  },
  'a folder that is gone to in a step is made, and destinations start there': {
    dockerfile: ['WORKDIR /a/b', 'WORKDIR ../c', 'RUN pwd > /p', 'WORKDIR d', 'COPY f .', LIST('/a')],
    files: { f: 'x' },
    has: {
      p: '/a/c\n',
      list: ['/a 755 0:0', '/a/b 755 0:0', '/a/c 755 0:0', '/a/c/d 755 0:0', '/a/c/d/f 644 0:0', ''].join(
        '\n',
      ),
    },
  },
  'commands run as the user that was set; COPY still belongs to root': {
    dockerfile: ['USER web', 'RUN id -u > /tmp/uid', 'COPY f /f', 'RUN stat -c %u /f > /tmp/own'],
    files: { f: 'x' },
    has: { 'tmp/uid': '101\n', 'tmp/own': '0\n' },
  },
};

for (const [what, { dockerfile, files = {}, options = {}, run = {}, has = {} }] of Object.entries(CASES)) {
  test(`language: ${what}`, async (t) => {
    const bench = await openBench(t);
    const context = contextOf(['FROM busybox', ...dockerfile, ''].join('\n'), files);
    const { image } = await buildOf(bench, context, options);
    const config: Readonly<Record<string, unknown>> = { ...image.config.config };
    for (const [field, value] of Object.entries(run)) t.deepEqual(config[field], value, field);
    for (const [path, content] of Object.entries(has)) t.is(fileIn(bench, image, path), content, path);
  });
}

test('language: another escape character leaves backslashes alone', async (t) => {
  const bench = await openBench(t);
  const lines = [
    '# escape=`',
    'FROM busybox',
    'RUN echo a `',
    '  b > /out',
    'ENV P=c:\\dir',
    'COPY a `',
    '  /x/',
    '',
  ];
  const { image } = await buildOf(bench, contextOf(lines.join('\n'), { a: 'A' }));
  t.is(fileIn(bench, image, 'out'), 'a b\n');
  t.is(fileIn(bench, image, 'x/a'), 'A');
  t.true(image.config.config?.Env?.includes('P=c:\\dir'));
});
