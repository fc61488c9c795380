import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { callApi } from '#proto/http/call.ts';
import { Router } from '#proto/http/router.ts';
import { EngineLab, traces } from '#test/support/engine-lab.ts';
import { engineRoutes } from '#test/support/engine-server.ts';
import { patience } from '#test/support/wait-for.ts';

/*
 * Answers beside those that Docker Engine 27.5.1 gave (test/data/moby/machine-shapes.json: per operation how many answers
 * were recorded, and for every path in them how often it had which type). Every path of ours must be known there with
 * that type; every path that Docker always sends must be in ours.
 */

interface Recorded {
  readonly answers: number;
  readonly shape: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

const recorded = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../data/moby/machine-shapes.json'), 'utf8'),
) as Record<string, Recorded>;

/** Newer than 27.5.1 (API 1.48 to 1.51), or what Shoal has more to say about. */
const NEWER =
  /GwPriority|EnableIPv4|FirewallBackend|DriverStatus|GraphDriver\.Data\.ID|\.GraphDriver\.Data$|Labels|\.Options\.com\.|ExposedPorts|RegistryConfig|Runtimes|\.Mounts\[\]/;
/** What Shoal has no such thing for: containerd, Docker's own runtimes and log drivers. */
const WITHOUT =
  /Containerd|\.ExpectedX|Commit\.Expected|RegistryConfig|Runtimes|LowerDir-init|BuildCache|Images|GraphDriver/;

let lab: EngineLab;
let router: Router;

test.before(async () => {
  lab = await EngineLab.open('shapes');
  router = new Router(engineRoutes(lab.engine));
  await lab.run(
    { Cmd: ['sleep', '1000'], Labels: { a: 'b' }, Volumes: { '/v': {} } },
    { NetworkMode: 'bridge' },
    'one',
  );
});

test.after.always(async (t) => {
  await lab[Symbol.asyncDispose]();
  t.deepEqual(traces(lab.instance), [], 'nothing is left on the machine');
});

async function answer(method: string, target: string, body?: unknown): Promise<unknown> {
  const text = body === undefined ? '' : JSON.stringify(body);
  const headers = { 'content-type': 'application/json', 'content-length': String(text.length) };
  const call = { method, target, headers, body: Buffer.from(text) };
  const result = await callApi(router, call, patience());
  if (result.status >= 400)
    throw new Error(`${method} ${target}: ${result.status} ${result.body.toString()}`);
  return JSON.parse(result.body.toString());
}

/** Types by path: `.State.Pid` number, `.Args[]` string. */
function flatten(value: unknown, path = '', into: Map<string, string> = new Map()): Map<string, string> {
  const type = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  into.set(path, type);
  if (Array.isArray(value)) for (const item of value) flatten(item, `${path}[]`, into);
  else if (type === 'object')
    for (const [key, item] of Object.entries(value as object)) flatten(item, `${path}.${key}`, into);
  return into;
}

/** The names that users choose are `*` in the record. */
function found(shape: Recorded['shape'], path: string): Recorded['shape'][string] | undefined {
  if (shape[path]) return shape[path];
  const patterns = Object.keys(shape).filter((key) => key.includes('*'));
  const pattern = patterns.find((key) =>
    new RegExp(`^${key.replace(/[.[\]]/g, '\\$&').replaceAll('*', '[^.]+')}$`).test(path),
  );
  return pattern === undefined ? undefined : shape[pattern];
}

const operations: readonly (readonly [operation: string, method: string, target: string, body?: unknown])[] =
  [
    ['GET /version', 'GET', '/version'],
    ['GET /info', 'GET', '/info'],
    ['GET /containers/json', 'GET', '/containers/json?all=1'],
    ['GET /containers/{id}/json', 'GET', '/containers/one/json'],
    ['GET /containers/{id}/top', 'GET', '/containers/one/top'],
    ['GET /networks', 'GET', '/networks'],
    ['GET /networks/{id}', 'GET', '/networks/bridge'],
    ['GET /volumes', 'GET', '/volumes'],
    ['POST /volumes/create', 'POST', '/volumes/create', { Name: 'made' }],
    ['POST /networks/create', 'POST', '/networks/create', { Name: 'made' }],
    [
      'POST /containers/create',
      'POST',
      '/containers/create',
      { Image: 'busybox', HostConfig: { NetworkMode: 'none' } },
    ],
    ['GET /system/df', 'GET', '/system/df'],
    ['POST /containers/prune', 'POST', '/containers/prune'],
  ];

for (const [operation, method, target, body] of operations)
  test.serial(`${operation}: the fields that Docker sends, of the types that it sends`, async (t) => {
    const { answers, shape } = recorded[operation] as Recorded;
    const ours = flatten(await answer(method, target, body));
    for (const [path, type] of ours) {
      const types = found(shape, path);
      if (types === undefined) t.regex(path, NEWER, `${path} is unknown to Docker`);
      else
        t.true(
          type in types || NEWER.test(path),
          `${path} is ${type}, with Docker ${Object.keys(types).join(' or ')}`,
        );
    }
    for (const [path, types] of Object.entries(shape)) {
      const always = Object.values(types).reduce((sum, count) => sum + count, 0) >= answers;
      if (always && !/[[*]/.test(path) && !WITHOUT.test(path)) t.true(ours.has(path), `${path} is missing`);
    }
  });
