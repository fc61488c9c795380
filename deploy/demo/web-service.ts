import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EngineClient } from '../cli/engine-client.ts';
import { run } from '../local/run.ts';

/** Debian's busybox-static: everything the small web service is made of. */
const BUSYBOX = '/bin/busybox';

const DOCKERFILE = `FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
ARG VERSION
ENV VERSION=$VERSION PATH=/bin
WORKDIR /www
RUN echo "version $VERSION" > index.html && date >> index.html
COPY serve.sh /serve.sh
EXPOSE 80
CMD ["/bin/sh", "/serve.sh"]
`;

/** Ends at once when asked to: nobody is connected any more by then. */
const SERVE = `#!/bin/sh
trap 'kill $server; exit 0' TERM
httpd -f -p 80 -h /www &
server=$!
wait $server
`;

interface BuildLine {
  readonly stream?: string;
  readonly error?: string;
}

/** Builds the service's image on one node, from a Dockerfile, in the version asked for. */
export async function buildWebService(client: EngineClient, tag: string, version: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'shoal-demo-'));
  try {
    await copyFile(BUSYBOX, join(folder, 'busybox'));
    await writeFile(join(folder, 'Dockerfile'), DOCKERFILE);
    await writeFile(join(folder, 'serve.sh'), SERVE);
    await build(client, tag, version, await contextOf(folder));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function contextOf(folder: string): Promise<Uint8Array> {
  const archive = join(folder, 'context.tar');
  await run(['tar', '-C', folder, '-cf', archive, 'busybox', 'Dockerfile', 'serve.sh']);
  return readFile(archive);
}

async function build(client: EngineClient, tag: string, version: string, context: Uint8Array): Promise<void> {
  const lines = client.lines<BuildLine>('POST', '/build', {
    query: { t: tag, buildargs: JSON.stringify({ VERSION: version }), rm: '1' },
    content: { type: 'application/x-tar', data: context },
  });
  for await (const line of lines) {
    if (line.error !== undefined) throw new Error(`building ${tag}: ${line.error}`);
  }
}
