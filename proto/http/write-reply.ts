import type { ServerResponse } from 'node:http';
import type { Reply } from './types.ts';

/** Sends a reply; resolves when all of it has been handed to the system, or the client is gone. */
export async function writeReply(response: ServerResponse, reply: Reply): Promise<void> {
  switch (reply.kind) {
    case 'hijacked':
      return;
    case 'json':
      return sendBytes(
        response,
        reply.status,
        'application/json',
        Buffer.from(`${JSON.stringify(reply.body)}\n`),
        reply.headers,
      );
    case 'empty':
      response.writeHead(reply.status, reply.headers);
      response.end();
      return;
    case 'bytes':
      return sendBytes(response, reply.status, reply.contentType, reply.body, reply.headers);
    case 'stream':
      response.writeHead(reply.status, { 'content-type': reply.contentType, ...reply.headers });
      response.flushHeaders();
      return pour(response, reply.body);
  }
}

function sendBytes(
  response: ServerResponse,
  status: number,
  contentType: string,
  body: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': body.length, ...headers });
  response.end(body);
}

/** As fast as the client reads. A failure on the way can only be told by breaking off. */
async function pour(response: ServerResponse, body: AsyncIterable<Uint8Array | string>): Promise<void> {
  try {
    for await (const chunk of body) {
      if (response.destroyed) return;
      if (!response.write(chunk)) await drained(response);
    }
    response.end();
  } catch (error) {
    response.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}
