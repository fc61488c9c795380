import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { messageOf } from '#proto/base/errors.ts';
import { failureReply } from '#proto/http/dispatch.ts';
import type { ServeOpts } from '#proto/http/server.ts';
import { Upgrade } from '#proto/http/takeover.ts';
import { boolQuery } from '#proto/http/types.ts';
import { writeReply } from '#proto/http/write-reply.ts';
import type { Engine } from '../core/open-engine.ts';
import { type Joining, join, joining } from './container-streams.ts';

const PATH = /^(?:\/v1\.(\d+))?\/containers\/([^/]+)\/attach\/ws$/;
/** Largest message of a client: nobody types more at once, and what is piped in comes in pieces. */
const MESSAGE_BYTES_MAX = 1024 * 1024;
/** The code by which a WebSocket server says that it could not do what was asked. */
const CANNOT = 1011;
/** Before, a WebSocket always carried all three streams. */
const CHOICE_SINCE_MINOR = 42;

/**
 * GET /containers/{id}/attach/ws: a container's streams on a WebSocket, for clients in browsers. What comes is one stream of
 * bytes, not told apart.
 */
export function attachUpgrade({ engine }: { engine: Engine }): NonNullable<ServeOpts['upgrade']> {
  return (...upgrade) => {
    const { pathname, searchParams } = new URL(upgrade[0].url ?? '/', 'http://engine');
    const [whole, minor, id = ''] = PATH.exec(pathname) ?? [];
    if (whole === undefined) return false;
    attachOn(engine, decodeURIComponent(id), wanted(searchParams, minor), upgrade).catch((error: unknown) =>
      refuse(upgrade, error),
    );
    return true;
  };
}

type UpgradeRequest = readonly [request: IncomingMessage, socket: Duplex, head: Buffer];

async function attachOn(
  engine: Engine,
  id: string,
  wants: Joining,
  [request, socket, head]: UpgradeRequest,
): Promise<void> {
  const container = engine.containers.find(id);
  // Few ever ask: the rest do not carry it.
  const { createWebSocketStream, WebSocketServer } = await import('ws');
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: MESSAGE_BYTES_MAX,
  });
  server.handleUpgrade(request, socket, head, (client) => {
    client.on('error', () => client.terminate());
    try {
      join(engine, container, wants, () => createWebSocketStream(client));
    } catch (error) {
      client.close(CANNOT, messageOf(error));
    }
  });
}

function refuse([request, socket, head]: UpgradeRequest, error: unknown): void {
  const response = new Upgrade(request, socket, head).response();
  void writeReply(response, failureReply(error)).catch(() => socket.destroy());
}

function wanted(query: URLSearchParams, minor: string | undefined): Joining {
  const asked = joining(query, false);
  const chooses = minor === undefined || Number(minor) >= CHOICE_SINCE_MINOR;
  const chosen = ['stdin', 'stdout', 'stderr'].some((name) => boolQuery(query, name));
  return chooses && chosen ? asked : { ...asked, stdin: true, stdout: true, stderr: true };
}
