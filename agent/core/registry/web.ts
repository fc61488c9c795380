import { ShoalError } from '#proto/base/errors.ts';
import type { ProgressSink } from '../image/progress.ts';
import { HttpClient, type HttpResponse } from './http.ts';

/** Of what a server says about a refusal, so much is shown. */
const WORDS_MAX = 200;

/** An address that content can be fetched from; undefined for what is none, or of another kind. */
export function webAddress(text: string): URL | undefined {
  const url = URL.parse(text);
  return url?.protocol === 'http:' || url?.protocol === 'https:' ? url : undefined;
}

/** Asks for what is at an address. INVALID_ARGUMENT when the server refuses, UNAVAILABLE when there is none. */
export async function openAddress(url: URL, http: HttpClient, signal: AbortSignal): Promise<HttpResponse> {
  const response = await http.send({ method: 'GET', url, signal });
  if (response.status < 300) return response;
  const said = await response.bytes().catch(() => Buffer.alloc(0));
  const words = said.toString('utf8', 0, WORDS_MAX).trim();
  throw new ShoalError(
    'INVALID_ARGUMENT',
    `failed to GET ${url.href} with status ${response.status}: ${words}`,
  );
}

/** The content of an answer to its end; UNAVAILABLE when it breaks off. */
export async function* wholeBody(
  { body, headers }: HttpResponse,
  progress: ProgressSink,
): AsyncGenerator<Uint8Array> {
  const total = Number(headers['content-length'] ?? 0);
  let current = 0;
  for await (const chunk of body) {
    yield chunk;
    current += chunk.length;
    progress({ status: 'Downloading', current, total });
  }
  if (current < total)
    throw new ShoalError('UNAVAILABLE', `unexpected EOF: got ${current} of ${total} bytes`);
}

/** All that is at an address. */
export async function* contentAt(
  url: URL,
  progress: ProgressSink,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  using http = new HttpClient();
  yield* wholeBody(await openAddress(url, http, signal), progress);
}
