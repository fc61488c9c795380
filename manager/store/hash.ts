import { createHash } from 'node:crypto';
import { type KeptParts, NO_PARTS } from './parts.ts';
import { keyOf, TABLES, type Tables } from './tables.ts';

/**
 * A digest of every row and of the parts that are kept, as hex: equal where the state is equal, whatever way led there. It does not depend on how rows
 * are encoded, and fields that a later version adds change it only where they are present.
 */
export function hashOf(tables: Tables, { term, parts }: KeptParts = NO_PARTS): string {
  const hash = createHash('sha256');
  for (const table of TABLES) {
    for (const row of tables.all(table))
      hash.update(`${table} ${keyOf(table, row)} ${JSON.stringify(row, sorted)}\n`);
  }
  for (const { proposer, serial, number, count, data } of parts)
    hash.update(`part ${term} ${proposer} ${serial} ${number} ${count} ${data.length}\n`).update(data);
  return hash.digest('hex');
}

/** Objects with their keys in order; lists as they are. */
function sorted(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
