import test from 'ava';
import fc from 'fast-check';
import { legacyEntries } from '#agent/core/image/legacy.ts';
import { ociLayerOf, parseImageConfig, parseIndex, parseManifest } from '#agent/core/image/oci.ts';
import { choosePlatform, configPlatform, HOST_PLATFORM } from '#agent/core/image/platform.ts';
import { ShoalError } from '#proto/base/errors.ts';

const DIGEST = `sha256:${'ab'.repeat(32)}`;
const LAYER = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: DIGEST, size: 9 };
const PLATFORM = { os: 'linux', architecture: 'arm', variant: 'v7' };
const MANIFEST = { schemaVersion: 2, config: LAYER, layers: [LAYER, LAYER], annotations: { a: 'b' } };
const INDEX = { schemaVersion: 2, manifests: [{ ...LAYER, platform: PLATFORM }, LAYER] };
const CONFIG = {
  created: '2024-01-01T00:00:00.123456789Z',
  author: 'me',
  ...PLATFORM,
  config: {
    User: 'a',
    Env: ['A=b'],
    Cmd: ['x'],
    Labels: { a: 'b' },
    ExposedPorts: { '80/tcp': {} },
    Healthcheck: { Test: ['CMD', 'x'], Interval: 5 },
    StopTimeout: 3,
  },
  rootfs: { type: 'layers', diff_ids: [DIGEST, DIGEST] },
  history: [{ created_by: 'x' }, { empty_layer: true }],
};

function bytes(document: unknown): Buffer {
  return Buffer.from(JSON.stringify(document));
}

/** Somewhere in a document there is something else than should be. */
function damaged(document: object): fc.Arbitrary<unknown> {
  const paths = pathsIn(document);
  const value = fc.oneof(
    fc.constantFrom(null, -1, 2 ** 60, 'sha256:', '../../etc', [], {}, true, [null], [[]], { a: 1 }),
    fc.jsonValue({ maxDepth: 2 }),
  );
  const hit = fc.tuple(fc.constantFrom(...paths), value);
  return fc.array(hit, { minLength: 1, maxLength: 3 }).map((hits) => {
    const copy: unknown = structuredClone(document);
    for (const [path, put] of hits) putAt(copy, path, structuredClone(put));
    return copy;
  });
}

function pathsIn(value: unknown, at: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [at];
  const within = Object.entries(value).flatMap(([key, item]) => pathsIn(item, [...at, key]));
  return at.length === 0 ? within : [at, ...within];
}

function putAt(document: unknown, path: readonly string[], value: unknown): void {
  let place = document as Record<string, unknown>;
  for (const key of path.slice(0, -1)) {
    const next = place[key];
    if (typeof next !== 'object' || next === null) return;
    place = next as Record<string, unknown>;
  }
  place[path.at(-1) as string] = value;
}

/** What the house does with a document that it took. */
function use(kind: keyof typeof GOOD, document: unknown): void {
  if (kind === 'manifest') for (const layer of parseManifest(bytes(document)).layers) ociLayerOf(layer);
  if (kind === 'index') choosePlatform(parseIndex(bytes(document)).manifests, HOST_PLATFORM);
  if (kind === 'legacy') for (const { tags, layers } of legacyEntries(document)) [...tags, ...layers].join();
  if (kind !== 'config') return;
  const { config, history, ...rest } = parseImageConfig(bytes(document));
  configPlatform(rest);
  for (const item of history ?? []) void item.created_by;
  for (const word of [...(config?.Env ?? []), ...(config?.Cmd ?? [])]) word.startsWith('A');
  for (const label of Object.values(config?.Labels ?? {})) label.startsWith('a');
}

const GOOD = {
  manifest: MANIFEST,
  index: INDEX,
  config: CONFIG,
  legacy: [{ Config: 'a.json', RepoTags: ['a:1'], Layers: ['l.tar'] }],
} as const;

for (const [kind, document] of Object.entries(GOOD) as [keyof typeof GOOD, object][]) {
  test(`documents: a ${kind} is taken as it should be`, (t) => {
    t.notThrows(() => use(kind, document));
  });

  test(`documents: whatever is in a ${kind}, it is refused with a reason or all of it can be used`, (t) => {
    fc.assert(
      fc.property(damaged(document), (broken) => {
        try {
          use(kind, broken);
        } catch (error) {
          t.true(error instanceof ShoalError, `${String(error)}: ${JSON.stringify(broken)}`);
        }
      }),
      { numRuns: 1500 },
    );
    t.pass();
  });
}

test('documents: an image with more layers than can be joined is refused', (t) => {
  const layers = Array.from({ length: 501 }, () => LAYER);
  t.throws(() => parseManifest(bytes({ ...MANIFEST, layers })), { message: /layers has 501 items/ });
});

test('documents: layers of Docker’s own format are called what OCI calls them', (t) => {
  const docker = 'application/vnd.docker.image.rootfs.diff.tar';
  const named = (mediaType: string): string => ociLayerOf({ ...LAYER, mediaType }).mediaType;
  t.is(named(`${docker}.gzip`), LAYER.mediaType);
  t.is(named(docker), 'application/vnd.oci.image.layer.v1.tar');
  t.is(named('application/vnd.example'), 'application/vnd.example');
});
