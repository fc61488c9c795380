import { posix } from 'node:path';

/** Where WORKDIR leads: a relative one goes on from the last. */
export function workdirIn(current: string | undefined, requested: string): string {
  return posix
    .join('/', requested.startsWith('/') ? '' : (current ?? ''), requested)
    .replace(/(.)\/+$/, '$1');
}

/** The destination of a COPY in full, with the slash at its end if it has one. */
export function destinationIn(workdir: string | undefined, requested: string): string {
  const isFolder = /(^|\/)\.{0,2}$/.test(requested);
  const path = workdirIn(workdir, requested);
  return isFolder && !path.endsWith('/') ? `${path}/` : path;
}
