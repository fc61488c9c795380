import type { IncomingHttpHeaders } from 'node:http';
import { ShoalError } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';

/** Whether a request brings a body, by its head. */
export function hasBody(headers: IncomingHttpHeaders): boolean {
  return Number(headers['content-length'] ?? 0) > 0 || headers['transfer-encoding'] !== undefined;
}

/** Reads a body as JSON. INVALID_ARGUMENT with Docker's words when it is none, or too large. */
export async function readJson<T>(headers: IncomingHttpHeaders, body: AsyncIterable<Uint8Array>): Promise<T> {
  const type = headers['content-type'];
  if (type !== undefined && type.split(';')[0]?.trim().toLowerCase() !== 'application/json')
    throw invalid(`unsupported Content-Type header (${type}): must be 'application/json'`);
  const text = (await readAll(body, LIMITS.httpBodyBytesMax)).toString();
  if (text.trim() === '') throw invalid('invalid JSON: got EOF while reading request body');
  if (type === undefined) throw invalid("unsupported Content-Type header (): must be 'application/json'");
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (/after JSON/.test(reason)) throw invalid('unexpected content after JSON');
    throw invalid(`invalid JSON: ${reason}`);
  }
}

export async function readAll(body: AsyncIterable<Uint8Array>, bytesMax: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > bytesMax) throw invalid(`request body too large: at most ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', message);
}
