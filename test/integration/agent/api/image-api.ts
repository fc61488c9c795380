import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { buildRoutes } from '#agent/api/build.ts';
import { distributionRoutes } from '#agent/api/distribution.ts';
import { imageRoutes } from '#agent/api/images.ts';
import { Registries } from '#agent/core/registry/registries.ts';
import { systemClock } from '#proto/base/clock.ts';
import { nullLog } from '#proto/base/log.ts';
import { serveApi } from '#proto/http/server.ts';
import { type Bench, openBench } from '../core/build/support.ts';
import { scratch } from '../core/image/support.ts';

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

export interface Ask {
  readonly body?: Buffer | string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Called with each piece; gives up when it says so. */
  readonly onPiece?: (text: string) => 'leave' | undefined;
}

export interface Api extends Bench {
  ask(method: string, path: string, ask?: Ask): Promise<Answer>;
}

/** The image and build part of the Engine API on a socket of the test's own. */
export async function openApi(t: ExecutionContext): Promise<Api> {
  const bench = await openBench(t);
  const registries = new Registries({}, { clock: systemClock });
  const { images } = bench;
  const socket = join(scratch(t), 'api.sock');
  const routes = [
    ...imageRoutes({ images, registries }),
    ...buildRoutes(bench.modules),
    ...distributionRoutes({ images, registries }),
  ];
  const server = await serveApi({ listen: [{ kind: 'unix', path: socket }], routes }, { log: nullLog });
  t.teardown(async () => {
    await server[Symbol.asyncDispose]();
    registries[Symbol.dispose]();
  });
  return { ...bench, ask: (method, path, ask = {}) => asked(socket, method, path, ask) };
}

function asked(
  socketPath: string,
  method: string,
  path: string,
  { body, headers, onPiece }: Ask,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ socketPath, method, path, headers: { ...headers } }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
        if (onPiece?.(text) === 'leave') request.destroy();
      });
      const type = response.headers['content-type'] ?? '';
      response.on('close', () => resolve({ status: response.statusCode ?? 0, type, text }));
      response.on('error', () => undefined);
    });
    request.on('error', (error) => {
      if (!request.destroyed) reject(error);
    });
    request.end(body);
  });
}

/** The messages of a stream. */
export function messages({ text }: Answer): Record<string, unknown>[] {
  return text
    .split('\r\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

export const query = (values: Record<string, string>): string => new URLSearchParams(values).toString();
