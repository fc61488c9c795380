import { mkdir, open, utimes } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { codeOf, messageOf, ShoalError } from '#proto/base/errors.ts';
import { DiskReserve, writeFailure } from '../image/disk.ts';
import type { ProgressSink } from '../image/progress.ts';
import { HttpClient, type HttpResponse } from '../registry/http.ts';
import { openAddress, webAddress, wholeBody } from '../registry/web.ts';

/** What ADD takes for something elsewhere. */
export function isRemote(source: string): boolean {
  return /^(https?|ftp):\/\/|^git@|\.git(#|$)/.test(source);
}

export interface Downloaded {
  /** Of the file, in the folder that was given. */
  readonly name: string;
}

export interface DownloadOpts {
  /** Is made; nobody else writes there. */
  readonly folder: string;
  readonly progress: ProgressSink;
  readonly signal: AbortSignal;
}

/** What is downloaded has no mode of its own. */
const MODE = 0o600;

/** Fetches what ADD names by a URL, as a file by the name it has there. Failures have Docker's words. */
export async function download(source: string, opts: DownloadOpts): Promise<Downloaded> {
  const url = urlOf(source);
  using http = new HttpClient();
  try {
    const response = await openAddress(url, http, opts.signal);
    const name = fileNameOf(url, response);
    await mkdir(opts.folder, { mode: 0o700 });
    await save(response, join(opts.folder, name), opts);
    return { name };
  } catch (error) {
    opts.signal.throwIfAborted();
    throw new ShoalError(codeOf(error), `ADD failed: ${messageOf(error)}`, { cause: error });
  }
}

function urlOf(source: string): URL {
  const url = webAddress(source);
  if (url) return url;
  throw new ShoalError(
    'NOT_IMPLEMENTED',
    `ADD failed: ${source}: only http and https sources are supported by this builder: fetch it in a RUN step, or put it in the context`,
  );
}

/** The last part of the address, else what the server calls it. */
function fileNameOf(url: URL, { headers }: HttpResponse): string {
  const inPath = url.pathname.endsWith('/') ? '' : decoded(posix.basename(url.pathname));
  const offered = /filename="?([^";]+)"?/.exec(headers['content-disposition'] ?? '')?.[1] ?? '';
  const name = inPath === '' ? posix.basename(offered.replaceAll('\\', '/')) : inPath;
  const isPlain = name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);
  if (isPlain) return name;
  throw new ShoalError('INVALID_ARGUMENT', `cannot determine filename from url: ${url.href}`);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function save(response: HttpResponse, path: string, opts: DownloadOpts): Promise<void> {
  const reserve = new DiskReserve(opts.folder);
  await using file = await open(path, 'wx', MODE);
  for await (const chunk of wholeBody(response, opts.progress)) {
    opts.signal.throwIfAborted();
    reserve.take(chunk.length);
    await file.writeFile(chunk).catch((error: unknown) => Promise.reject(writeFailure(error)));
  }
  const modified = Date.parse(response.headers['last-modified'] ?? '');
  const seconds = Number.isNaN(modified) ? 0 : modified / 1000;
  await utimes(path, seconds, seconds);
}
