import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { E2eCluster } from './e2e.ts';

/** Debian's busybox-static: everything the image is made of. */
const BUSYBOX = '/bin/busybox';

const DOCKERFILE = `FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
ARG VERSION
ENV VERSION=$VERSION PATH=/bin
WORKDIR /www
RUN echo "version $VERSION" > index.html
COPY serve.sh /serve.sh
EXPOSE 80
CMD ["/bin/sh", "/serve.sh"]
`;

/** Ends as soon as it is asked to: nobody is connected any more by then. */
const SERVE = `trap 'kill $server; exit 0' TERM
httpd -f -p 80 -h /www &
server=$!
echo "serving version $VERSION"
wait $server
`;

/** Builds `web:VERSION` on a node with `docker build`: a web server whose first line is `version VERSION`. */
export async function buildWebImage(cluster: E2eCluster, node: string, version: string): Promise<string> {
  const folder = join(cluster.folder, `web-${version}`);
  mkdirSync(folder);
  copyFileSync(BUSYBOX, join(folder, 'busybox'));
  writeFileSync(join(folder, 'Dockerfile'), DOCKERFILE);
  writeFileSync(join(folder, 'serve.sh'), SERVE);
  const tag = `web:${version}`;
  await cluster.docker(node, 'build', '-q', '-t', tag, '--build-arg', `VERSION=${version}`, folder);
  return tag;
}
