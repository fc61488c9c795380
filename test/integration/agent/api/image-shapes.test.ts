import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { contextOf } from '../core/build/support.ts';
import { startRegistry } from '../core/registry/registry-process.ts';
import { openApi, query } from './image-api.ts';

/** Of each endpoint: which path of its answers had which types, how often, when a real Docker Engine was asked. */
type Shapes = Record<string, Record<string, Record<string, number>>>;

const SHAPES = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../data/moby/image-shapes.json'), 'utf8'),
) as Shapes;

type Found = Map<string, Set<string>>;

function collect(value: unknown, path: string, known: Record<string, unknown>, found: Found): void {
  const type = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  found.set(path, (found.get(path) ?? new Set()).add(type));
  if (Array.isArray(value)) for (const item of value) collect(item, `${path}[]`, known, found);
  else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      const named = `${path}.${key}`;
      collect(item, named in known ? named : `${path}.*`, known, found);
    }
  }
}

/** Differences of an answer from what the endpoint is known to answer. */
function differences(endpoint: string, answer: unknown): string[] {
  const shape = SHAPES[endpoint] ?? {};
  const found: Found = new Map();
  collect(answer, '', shape, found);
  const extra = [...found].flatMap(([path, types]) =>
    [...types].filter((type) => !(type in (shape[path] ?? {}))).map((type) => `${path} is ${type}`),
  );
  const missing = Object.keys(shape).filter(
    (path) => isAlways(shape, path) && parentIsHere(path, found) && !found.has(path),
  );
  return [...extra, ...missing.map((path) => `${path} is missing`)];
}

/** The field was there in every object that could have it. */
function isAlways(shape: Shapes[string], path: string): boolean {
  const parent = path.replace(/\.[^.]+$/, '');
  if (parent === path || path.endsWith('.*')) return false;
  return count(shape[path]) === (shape[parent]?.['object'] ?? 0);
}

function count(types: Record<string, number> | undefined): number {
  return Object.values(types ?? {}).reduce((sum, number) => sum + number, 0);
}

function parentIsHere(path: string, found: Found): boolean {
  return found.get(path.replace(/\.[^.]+$/, ''))?.has('object') === true;
}

test('shapes: every answer has the fields and types that a real engine’s have', async (t) => {
  const api = await openApi(t);
  const { host } = await startRegistry(t);
  const get = async (method: string, path: string): Promise<unknown> =>
    JSON.parse((await api.ask(method, path)).text);
  const dockerfile =
    'FROM busybox\nLABEL a=b\nEXPOSE 80\nENV A=1\nRUN echo 1 > /1\nCMD x\nHEALTHCHECK --interval=1s CMD true\n';
  await api.ask('POST', '/build?t=app', { body: contextOf(dockerfile) });
  await api.ask('POST', '/build', { body: contextOf('FROM busybox\nRUN echo 2 > /2\n') });
  await api.ask('POST', `/images/app/tag?${query({ repo: `${host}/app`, tag: '1' })}`);
  await api.ask('POST', `/images/${host}/app/push?tag=1`);
  const answers: readonly [endpoint: string, answer: unknown][] = [
    ['GET /images/json', await get('GET', '/images/json?all=1')],
    ['GET /images/{name}/json', await get('GET', '/images/app/json')],
    ['GET /images/{name}/json', await get('GET', '/images/busybox/json')],
    ['GET /images/{name}/history', await get('GET', '/images/app/history')],
    ['GET /distribution/{name}/json', await get('GET', `/distribution/${host}/app:1/json`)],
    ['POST /images/prune', await get('POST', '/images/prune?filters={"until":["2000-01-01T00:00:00Z"]}')],
    ['POST /images/prune', await get('POST', '/images/prune')],
    ['POST /build/prune', await get('POST', '/build/prune')],
    ['DELETE /images/{name}', await get('DELETE', '/images/app?force=1')],
    ['DELETE /images/{name}', await get('DELETE', `/images/${host}/app:1`)],
  ];
  for (const [endpoint, answer] of answers) t.deepEqual(differences(endpoint, answer), [], endpoint);
});
