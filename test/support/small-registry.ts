import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const REPOSITORY = 'some/image';

export interface SmallRegistryOpts {
  /** What is sent in place of a blob that was asked for by this name; undefined: nothing more than a refusal. */
  readonly answer?: (name: string, content: Buffer) => Buffer | undefined;
  /** Waited for when the first half of something has been sent; where it fails, the connection breaks off. */
  readonly halfway?: (name: string) => Promise<void>;
}

/** A registry with one image of one layer, to be pulled by `reference` as often as one likes. */
export class SmallRegistry implements AsyncDisposable {
  readonly #server: Server;
  /** `host:port`. */
  readonly address: string;
  /** Of the manifest. */
  readonly digest: string;
  /** Digest of the layer. */
  readonly layer: string;
  /** How often each was fetched, by digest or tag. */
  readonly fetched: ReadonlyMap<string, number>;

  private constructor(
    server: Server,
    facts: {
      readonly address: string;
      readonly digest: string;
      readonly layer: string;
      readonly fetched: Map<string, number>;
    },
  ) {
    this.#server = server;
    this.address = facts.address;
    this.digest = facts.digest;
    this.layer = facts.layer;
    this.fetched = facts.fetched;
  }

  /** `layer` is a tar archive. */
  static async open(host: string, layer: Uint8Array, opts: SmallRegistryOpts = {}): Promise<SmallRegistry> {
    const config = Buffer.from(
      JSON.stringify({
        ...{ architecture: process.arch === 'x64' ? 'amd64' : process.arch, os: 'linux', config: {} },
        rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
      }),
    );
    const manifest = Buffer.from(
      JSON.stringify({
        ...{ schemaVersion: 2, mediaType: MANIFEST },
        config: described('application/vnd.oci.image.config.v1+json', config),
        layers: [described('application/vnd.oci.image.layer.v1.tar', layer)],
      }),
    );
    const blobs = new Map(
      [config, Buffer.from(layer), manifest].map((blob): [string, Buffer] => [digestOf(blob), blob]),
    );
    const fetched = new Map<string, number>();
    const server = createServer((request, response) => {
      const name = request.url?.split('/').at(-1) ?? '';
      const held = name === 'latest' ? manifest : blobs.get(name);
      const found = held && opts.answer ? opts.answer(name, held) : held;
      if (request.url !== '/v2/' && found === undefined) return void response.writeHead(404).end();
      const type = held === manifest ? MANIFEST : 'application/octet-stream';
      const facts = held === undefined ? {} : { 'docker-content-digest': digestOf(held) };
      response.writeHead(200, { 'content-type': type, 'content-length': found?.length ?? 0, ...facts });
      if (request.method === 'HEAD' || found === undefined) return void response.end();
      fetched.set(name, (fetched.get(name) ?? 0) + 1);
      const halfway = opts.halfway?.(name) ?? Promise.resolve();
      response.write(found.subarray(0, found.length >> 1));
      const rest = found.subarray(found.length >> 1);
      halfway.then(
        () => response.end(rest),
        () => response.destroy(),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    const { port } = server.address() as { port: number };
    const digests = { digest: digestOf(manifest), layer: digestOf(layer) };
    return new SmallRegistry(server, { address: `${host}:${port}`, ...digests, fetched });
  }

  /** What to pull. */
  get reference(): string {
    return `${this.address}/${REPOSITORY}:latest`;
  }

  /** What a task pulls, whose image has been pinned. */
  get pinned(): string {
    return `${this.reference}@${this.digest}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function described(mediaType: string, blob: Uint8Array): object {
  return { mediaType, digest: digestOf(blob), size: blob.length };
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
