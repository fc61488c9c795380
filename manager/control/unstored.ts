import type { Stored } from '#proto/types/objects.ts';

/** A row as a writer gives it back: without what applying fills in. */
export function unstored<Row extends Stored>(row: Row): Omit<Row, keyof Stored> {
  const { version: _version, createdAtMs: _createdAtMs, updatedAtMs: _updatedAtMs, ...rest } = row;
  return rest;
}
