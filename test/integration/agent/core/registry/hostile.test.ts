import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { sha256Of } from '#agent/core/image/digest.ts';
import { Images } from '#agent/core/image/images.ts';
import { MEDIA } from '#agent/core/image/oci.ts';
import { noProgress } from '#agent/core/image/progress.ts';
import { parseReference } from '#agent/core/image/reference.ts';
import { Registries } from '#agent/core/registry/registries.ts';
import { systemClock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { openStore, tarOf } from '../image/support.ts';

interface Content {
  readonly layer: Buffer;
  readonly config: Buffer;
  readonly manifest: Buffer;
}

interface Parts {
  readonly archive?: Buffer;
  readonly diffIds?: readonly string[];
  readonly layerSize?: number;
  readonly config?: object;
  readonly manifest?: object;
}

/** A small image, of which any part may be something else than it should be. */
function imageOf(parts: Parts = {}): Content {
  const archive = parts.archive ?? tarOf({ name: 'a', content: 'a' });
  const layer = gzipSync(archive);
  const rootfs = { type: 'layers', diff_ids: parts.diffIds ?? [sha256Of(archive)] };
  const config = bytes({ architecture: 'amd64', os: 'linux', rootfs, ...parts.config });
  const manifest = bytes({
    schemaVersion: 2,
    config: { mediaType: MEDIA.ociConfig, digest: sha256Of(config), size: config.length },
    layers: [
      { mediaType: MEDIA.ociLayerGzip, digest: sha256Of(layer), size: parts.layerSize ?? layer.length },
    ],
    ...parts.manifest,
  });
  return { layer, config, manifest };
}

function bytes(document: object): Buffer {
  return Buffer.from(JSON.stringify(document));
}

type Answer = (request: IncomingMessage, response: ServerResponse) => boolean;

/** A registry that has the image, where `first` does not answer otherwise. */
async function serve(t: ExecutionContext, content: Content, first: Answer = () => false): Promise<string> {
  const server = createServer((request, response) => {
    if (first(request, response)) return;
    const { url = '' } = request;
    const found = Object.values(content).find((blob: Buffer) => url.endsWith(sha256Of(blob)));
    const body = url.includes('/manifests/') ? content.manifest : (found as Buffer | undefined);
    if (body === content.manifest) response.setHeader('content-type', MEDIA.ociManifest);
    if (url === '/v2/') response.end();
    else if (body) response.end(body);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Retries come at once. */
const clock = { ...systemClock, sleep: (): Promise<void> => Promise.resolve() };

async function pull(t: ExecutionContext, host: string): Promise<{ error: unknown; left: unknown }> {
  const store = await openStore(t, undefined, { clock });
  const registries = new Registries({}, { clock });
  t.teardown(() => registries[Symbol.dispose]());
  const images = new Images({ store, registries });
  const error: unknown = await images.pull(parseReference(`${host}/x:1`), { progress: noProgress }).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  await store.collect();
  return { error, left: [store.table.images(), store.blobs.all(), store.layerStore.all()] };
}

test('hostile registry: the image that the others differ from is pulled', async (t) => {
  const { error } = await pull(t, await serve(t, imageOf()));
  t.is(error, undefined);
});

const isBlob = ({ layer }: Content, request: IncomingMessage): boolean =>
  request.url?.endsWith(sha256Of(layer)) === true;
const isManifest = (request: IncomingMessage): boolean => request.url?.includes('/manifests/') === true;

type Case = [content: Content, message: RegExp, answer?: (content: Content) => Answer];

const CASES: Readonly<Record<string, Case>> = {
  'a layer with other bytes than its digest says': [
    imageOf(),
    /verification failed for digest/,
    (content) => (request, response) => {
      if (!isBlob(content, request)) return false;
      response.end(Buffer.alloc(content.layer.length));
      return true;
    },
  ],
  'a layer without end': [
    imageOf(),
    /expected \d+ bytes, got more/,
    (content) => (request, response) => {
      if (!isBlob(content, request)) return false;
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      };
      response.on('drain', more);
      more();
      return true;
    },
  ],
  'a layer that always breaks off': [
    imageOf(),
    /unexpected EOF|aborted|socket hang up|reset/i,
    (content) => (request, response) => {
      if (!isBlob(content, request)) return false;
      response.end();
      return true;
    },
  ],
  'a layer of another size than the manifest says': [imageOf({ layerSize: 5 }), /expected 5 bytes, got more/],
  'a layer that is no archive': [
    imageOf({ archive: Buffer.alloc(2048, 'x') }),
    /^archive\/tar: invalid tar header/,
  ],
  'a layer that leads out of its folder': [
    imageOf({ archive: tarOf({ name: '../../evil', content: 'x' }) }),
    /is outside of the directory/,
  ],
  'a layer that is not the one of the config': [
    imageOf({ diffIds: [sha256Of('other')] }),
    /layer has diff id/,
  ],
  'more layers than the config has': [imageOf({ diffIds: [] }), /do not have the same layers/],
  'a config with wrong kinds of values': [
    imageOf({ config: { config: { Env: 'A=b' } } }),
    /config\.Env must be a list of strings/,
  ],
  'a manifest with a digest that is a path': [
    imageOf({ manifest: { layers: [{ mediaType: 'x', digest: '../../../../etc/passwd', size: 1 }] } }),
    /layers\[0\] has no valid digest/,
  ],
  'a manifest that is no JSON': [
    { ...imageOf(), manifest: Buffer.from('<html>') },
    /manifest is not valid JSON/,
  ],
  'a manifest without end': [
    imageOf(),
    /document of more than \d+ bytes/,
    () => (request, response) => {
      if (!isManifest(request)) return false;
      response.end(Buffer.alloc(9 * 1024 * 1024, 0x20));
      return true;
    },
  ],
  'headers without end': [
    imageOf(),
    /Header overflow/i,
    () => (request, response) => {
      if (!isManifest(request)) return false;
      response.setHeader('x-much', 'x'.repeat(100_000)).end();
      return true;
    },
  ],
  'redirects without end': [
    imageOf(),
    /stopped after 10 redirects$/,
    () => (request, response) => {
      if (!isManifest(request)) return false;
      response.writeHead(302, { location: request.url }).end();
      return true;
    },
  ],
  'a redirect to nowhere': [
    imageOf(),
    /redirects to what is no address/,
    () => (request, response) => {
      if (!isManifest(request)) return false;
      response.writeHead(302, { location: 'http://[' }).end();
      return true;
    },
  ],
  'a token service that answers something else': [
    imageOf(),
    /not JSON/,
    () => (request, response) => {
      const host = request.headers.host ?? '';
      if (request.url?.startsWith('/token')) response.end('<html>');
      else response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${host}/token"` }).end();
      return true;
    },
  ],
};

for (const [what, [content, message, answer]] of Object.entries(CASES)) {
  test(`hostile registry: ${what} is refused with a reason, and nothing is left`, async (t) => {
    const { error, left } = await pull(t, await serve(t, content, answer?.(content)));
    t.true(error instanceof ShoalError, String(error));
    t.regex((error as Error).message, message);
    t.deepEqual(left, [[], [], []]);
  });
}
