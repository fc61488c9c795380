import { readFileSync, writeFileSync } from 'node:fs';

/** Nice value of a session, as a manager of Shoal sets it for itself (deploy/node/precedence.ts). */
const PRIORITY = -10;

/**
 * Lets the session of a process run before whatever else the machine does, where that is allowed: threads that wake each
 * other some thousand times a second say little about themselves while they wait for others. Gives back what undoes it.
 */
export function goFirst(process: number | 'self'): () => void {
  const session = `/proc/${process}/autogroup`;
  try {
    const before = /nice (-?\d+)/.exec(readFileSync(session, 'utf8'))?.[1] ?? '0';
    writeFileSync(session, String(PRIORITY));
    return () => writeFileSync(session, before);
  } catch {
    console.error('not allowed to run before other programs: what they do counts on both sides');
    return () => undefined;
  }
}
