import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ApiError } from '#deploy/cli/engine-client.ts';
import { clientOf } from '#deploy/local/cluster.ts';
import { type E2eCluster, withCluster } from '#test/support/e2e.ts';
import { createWeb } from '#test/support/e2e-tasks.ts';
import { foreignListener } from '#test/support/foreign-listener.ts';
import { waitFor } from '#test/support/wait-for.ts';
import { buildWebImage } from '#test/support/web-image.ts';

const PORT = 8080;
const FOREIGN_PORT = 8085;
/** Where no registry listens. */
const ABSENT = '127.0.0.1:5999/absent:1';

interface Mistake {
  readonly what: string;
  readonly node?: string;
  readonly args: readonly string[];
  readonly code: number;
  readonly says: RegExp;
}

test('what can’t be is refused in Docker’s words and with its status, and changes nothing', async (t) => {
  await withCluster(t, { managers: 1, workers: 2 }, async (cluster) => {
    await buildWebImage(cluster, 'm1', '1');
    await cluster.docker('m1', 'network', 'create', '-d', 'overlay', 'net');
    const opts = ['--network', 'net', '--publish', `${PORT}:80`, '--constraint', 'node.hostname==m1'];
    await createWeb(cluster, 1, opts);
    await cluster.docker('w2', 'swarm', 'leave');
    await waitFor('w2 is down', () => isDown(cluster, 'w2'));
    await using _foreign = await foreignListener(cluster.namespace('m1'), FOREIGN_PORT);
    const before = await everything(cluster);
    for (const mistake of [...clusterMistakes(cluster), ...portMistakes(), ...buildMistakes(cluster)]) {
      const { code, out, err } = await cluster.try(mistake.node ?? 'm1', ...mistake.args);
      t.is(code, mistake.code, `${mistake.what}: ${err}`);
      t.regex(err || out, mistake.says, mistake.what);
      t.deepEqual(await everything(cluster), before, `${mistake.what}: something was changed`);
    }
    await statuses(t, cluster);
    t.deepEqual(await everything(cluster), before);
    t.is(await cluster.ask('w1', PORT), 'version 1');
    await missingImage(t, cluster);
  });
});

async function isDown(cluster: E2eCluster, name: string): Promise<boolean> {
  return (await cluster.docker('m1', 'node', 'inspect', '-f', '{{.Status.State}}', name)) === 'down';
}

function createArgs(...args: readonly string[]): string[] {
  return ['service', 'create', '-d', '-q', ...args, 'web:1'];
}

function clusterMistakes(cluster: E2eCluster): Mistake[] {
  const remote = `${cluster.node('m1').address}:2377`;
  return [
    {
      what: 'docker run of an image that nobody has',
      args: ['run', '--rm', ABSENT],
      code: 125,
      says: /Unable to find image '127\.0\.0\.1:5999\/absent:1' locally[\s\S]*connection refused/,
    },
    {
      what: 'a constraint that is none',
      args: createArgs('--name', 'bad', '--constraint', 'node.role=worker'),
      code: 1,
      says: /constraint expected one operator from ==, !=/,
    },
    {
      what: 'the name of another service',
      args: createArgs('--name', 'web'),
      code: 1,
      says: /name conflicts with an existing object: service web already exists/,
    },
    {
      what: 'a join token of another swarm',
      node: 'w2',
      args: ['swarm', 'join', '--token', `SWMTKN-1-${'a'.repeat(50)}-${'b'.repeat(25)}`, remote],
      code: 1,
      says: /remote CA does not match fingerprint/,
    },
    {
      what: 'a join token that is none',
      node: 'w2',
      args: ['swarm', 'join', '--token', 'rubbish', remote],
      code: 1,
      says: /invalid join token/,
    },
    {
      what: 'removing a network that a service uses',
      args: ['network', 'rm', 'net'],
      code: 1,
      says: /network [a-z0-9]{25} is in use by service [a-z0-9]{25}/,
    },
    {
      what: 'removing a node that is ready',
      args: ['node', 'rm', 'w1'],
      code: 1,
      says: /node [a-z0-9]{25} is not down and can't be removed/,
    },
    {
      what: 'a worker asked about the cluster',
      node: 'w1',
      args: ['service', 'ls'],
      code: 1,
      says: /This node is not a swarm manager\. Worker nodes can't be used to view or modify cluster state/,
    },
  ];
}

function portMistakes(): Mistake[] {
  const run = (...args: string[]): string[] => ['run', '--rm', ...args, 'web:1', 'true'];
  return [
    {
      what: 'a port that another service has',
      args: createArgs('--name', 'bad', '--publish', `${PORT}:81`),
      code: 1,
      says: /port '8080' is already in use by service 'web' \([a-z0-9]{25}\) as an ingress port/,
    },
    {
      what: 'docker run with a port that a service has',
      args: run('-p', `${PORT}:80`),
      code: 125,
      says: /Bind for 0\.0\.0\.0:8080 failed: port is already allocated/,
    },
    {
      what: 'docker run with a port that a process of the machine has',
      args: run('-p', `${FOREIGN_PORT}:80`),
      code: 125,
      says: /0\.0\.0\.0:8085.*address already in use/,
    },
  ];
}

function buildMistakes(cluster: E2eCluster): Mistake[] {
  const build = (name: string, dockerfile: string): string[] => {
    const folder = join(cluster.folder, name);
    mkdirSync(folder);
    writeFileSync(join(folder, 'Dockerfile'), dockerfile);
    return ['build', '-t', 'bad:1', folder];
  };
  return [
    {
      what: 'a Dockerfile with an instruction that there is not',
      args: build('syntax', 'FROM web:1\nFROBNICATE x\n'),
      code: 1,
      says: /dockerfile parse error.* line 2: unknown instruction: FROBNICATE/,
    },
    {
      what: 'a Dockerfile whose command fails',
      args: build('failing', 'FROM web:1\nRUN exit 7\n'),
      code: 7,
      says: /The command '\/bin\/sh -c exit 7' returned a non-zero code: 7/,
    },
  ];
}

/** The same by the API, for the statuses that programs go by. */
async function statuses(t: ExecutionContext, cluster: E2eCluster): Promise<void> {
  const spec = (name: string, more: object = {}): object => ({
    Name: name,
    TaskTemplate: { ContainerSpec: { Image: 'web:1' } },
    ...more,
  });
  const port = { EndpointSpec: { Ports: [{ TargetPort: 81, PublishedPort: PORT }] } };
  const calls: readonly (readonly [number, string, string, object?])[] = [
    [409, 'POST', '/services/create', spec('web')],
    [400, 'POST', '/services/create', spec('bad', port)],
    [400, 'POST', '/services/create', spec('not a name')],
    [404, 'POST', '/services/nosuch/update?version=1', spec('nosuch')],
    [500, 'POST', '/services/web/update?version=1', spec('web')],
    [400, 'DELETE', '/networks/net'],
    [400, 'DELETE', '/nodes/w1'],
    [404, 'DELETE', '/services/nosuch'],
    [404, 'POST', '/containers/create', { Image: 'nosuch:1' }],
    [503, 'POST', '/swarm/join', { JoinToken: 'x', RemoteAddrs: ['10.0.0.1:2377'] }],
  ];
  for (const [status, method, path, body] of calls) {
    const call = clientOf(cluster.node('m1')).call(method, path, body === undefined ? {} : { body });
    const error = await t.throwsAsync(call, { instanceOf: ApiError }, `${method} ${path}`);
    t.is(error?.status, status, `${method} ${path}: ${error?.message}`);
    if (status === 500) t.regex(error?.message ?? '', /update out of sequence/);
  }
}

/** Accepted with a warning, as Docker does: a registry may have it later. The task says what is missing. */
async function missingImage(t: ExecutionContext, cluster: E2eCluster): Promise<void> {
  const { code, err } = await cluster.try('m1', 'service', 'create', '-d', '--name', 'bad', ABSENT);
  t.is(code, 0);
  t.regex(err, /could not be accessed on a registry to record\s+its digest/);
  const args = ['service', 'ps', '--no-trunc', '--format', '{{.CurrentState}} {{.Error}}', 'bad'];
  await waitFor('the task says why it is rejected', async () => {
    const lines = await cluster.lines('m1', ...args);
    return lines.some((line) => /^Rejected .*No such image: 127\.0\.0\.1:5999\/absent:1/.test(line));
  });
}

interface Row {
  readonly Id?: string;
  readonly ID?: string;
  readonly Spec?: object;
  readonly State?: string;
  readonly RepoTags?: readonly string[];
}

/** All there is, without what changes by itself. Images without a name are what builds go on from. */
async function everything(cluster: E2eCluster): Promise<unknown> {
  const rows = async (node: string, path: string): Promise<unknown[]> => {
    const found = await cluster.get<Row[]>(node, path);
    return found.map(({ Id, ID, Spec, State, RepoTags }) => [Id ?? ID, Spec, State, RepoTags]).sort();
  };
  const own = (node: string): Promise<unknown[][]> =>
    Promise.all(['/containers/json?all=1', '/images/json'].map((path) => rows(node, path)));
  const shared = ['/services', '/networks', '/nodes'].map((path) => rows('m1', path));
  return { shared: await Promise.all(shared), m1: await own('m1'), w1: await own('w1'), w2: await own('w2') };
}
