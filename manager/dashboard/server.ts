import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { messageOf } from '#proto/base/errors.ts';
import { assetAt } from './assets.ts';
import type { Feed } from './feed.ts';
import type { LoadPicture } from './picture.ts';

export interface DashboardOpts {
  readonly host: string;
  readonly port: number;
}

export interface DashboardModules {
  /** The text of a scrape, in Prometheus' format. */
  readonly metrics: () => Promise<string>;
  /** Absent while this node is no manager: then there are metrics and no page. */
  readonly feed: () => Feed | undefined;
}

const LOAD_BYTES_MAX = 16 * 1024;
const SECURITY = { 'Content-Security-Policy': "default-src 'self'", 'X-Content-Type-Options': 'nosniff' };

/** A listener that serves metrics and the live page to anyone who can reach it; it changes nothing of the cluster. */
export interface Dashboard extends AsyncDisposable {
  readonly port: number;
}

export async function serveDashboard(opts: DashboardOpts, modules: DashboardModules): Promise<Dashboard> {
  const server = createServer((request, response) => {
    answer(request, response, modules).catch((error: unknown) => respond(response, 500, messageOf(error)));
  });
  server.on('upgrade', (request, socket, head) => {
    const feed = modules.feed();
    if (request.url === '/feed' && feed !== undefined) feed.accept(request, socket, head);
    else socket.destroy();
  });
  await listen(server, opts);
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : opts.port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function listen(server: Server, { host, port }: DashboardOpts): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  modules: DashboardModules,
): Promise<void> {
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  if (request.method === 'POST' && path === '/load') return takeLoad(request, response, modules.feed());
  if (request.method !== 'GET') return respond(response, 405, 'only GET is served here');
  if (path === '/metrics')
    return respond(response, 200, await modules.metrics(), 'text/plain; version=0.0.4');
  if (modules.feed() === undefined)
    return respond(response, 404, 'this node is no manager: the page is on managers');
  const asset = await assetAt(path);
  if (asset === undefined) return respond(response, 404, 'no such page');
  respond(response, 200, asset.body, asset.type);
}

/** A load generator tells its counts, to be shown beside the cluster; nothing is kept of them. */
async function takeLoad(
  request: IncomingMessage,
  response: ServerResponse,
  feed: Feed | undefined,
): Promise<void> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk;
    if (text.length > LOAD_BYTES_MAX) return respond(response, 413, 'too long');
  }
  const load = loadOf(text);
  if (load === undefined) return respond(response, 400, '{"sent", "failed", "versions"} is expected');
  feed?.reportLoad(load);
  respond(response, 204, '');
}

function loadOf(text: string): LoadPicture | undefined {
  try {
    const { sent, failed, versions } = JSON.parse(text) as LoadPicture;
    if (!Number.isInteger(sent) || !Number.isInteger(failed) || typeof versions !== 'object')
      return undefined;
    return { sent, failed, versions };
  } catch {
    return undefined;
  }
}

function respond(
  response: ServerResponse,
  status: number,
  body: string,
  type = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, { ...SECURITY, 'Content-Type': type });
  response.end(body);
}
