import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Programs } from './peer.ts';

const UNPACKED = join(import.meta.dirname, '../../../node_modules/.docker-client/usr/bin/docker');

/** The docker client that both engines are driven with: the machine's, that of the tests, or the peer's own. */
export function dockerCli(programs: Programs): string {
  const found = programs.path('docker');
  return !existsSync(found) && existsSync(UNPACKED) ? UNPACKED : found;
}
