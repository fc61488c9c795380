import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const REPOSITORY = 'some/image';

/** A registry with one image of one layer, to be pulled by `reference` as often as one likes. */
export class SmallRegistry implements AsyncDisposable {
  readonly #server: Server;
  readonly #address: string;

  private constructor(server: Server, address: string) {
    this.#server = server;
    this.#address = address;
  }

  /** `layer` is a tar archive. */
  static async open(host: string, layer: Uint8Array): Promise<SmallRegistry> {
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
    const blobs = new Map([config, layer, manifest].map((blob) => [digestOf(blob), blob]));
    const server = createServer((request, response) => {
      const name = request.url?.split('/').at(-1) ?? '';
      const found = name === 'latest' ? manifest : blobs.get(name);
      if (request.url !== '/v2/' && found === undefined) return void response.writeHead(404).end();
      const type = found === manifest ? MANIFEST : 'application/octet-stream';
      const facts = found === undefined ? {} : { 'docker-content-digest': digestOf(found) };
      response.writeHead(200, { 'content-type': type, 'content-length': found?.length ?? 0, ...facts });
      response.end(request.method === 'HEAD' ? undefined : found);
    });
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    return new SmallRegistry(server, `${host}:${(server.address() as { port: number }).port}`);
  }

  /** What to pull. */
  get reference(): string {
    return `${this.#address}/${REPOSITORY}:latest`;
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
