import type { Voters } from '../src/quorum.ts';
import type { PeerId } from '../src/types.ts';

/**
 * How far each voter got, as a picture: the more voters are behind one, the longer its bar; a question mark for one that
 * nothing is known of.
 */
export function describeQuorum(conf: Voters, reached: (id: PeerId) => number | undefined): string[] {
  const ids = [...new Set([...conf.voters, ...conf.votersOutgoing])].sort((a, b) => a - b);
  if (ids.length === 0) return ['<empty majority quorum>'];
  const width = ids.length;
  const behind = (index: number): number => ids.filter((id) => (reached(id) ?? 0) < index).length;
  const rows = ids.map((id) => {
    const index = reached(id);
    const bar = index === undefined ? '?' : `${'x'.repeat(behind(index))}>`;
    return `${bar.padEnd(width + 1)} ${String(index ?? 0).padStart(5)}    (id=${id})`;
  });
  return [`${' '.repeat(width)}    idx`, ...rows];
}
