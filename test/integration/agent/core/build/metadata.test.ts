import test from 'ava';
import { buildOf, contextOf, fileIn, openBench } from './support.ts';

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
