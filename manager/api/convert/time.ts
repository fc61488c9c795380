/** Milliseconds since 1970 as the API writes moments: RFC 3339. */
export function timestamp(ms: number): string {
  return new Date(ms).toISOString();
}

/** What every stored object says of itself. */
export function metaView({
  version,
  createdAtMs,
  updatedAtMs,
}: {
  readonly version: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}): { readonly Version: { readonly Index: number }; readonly CreatedAt: string; readonly UpdatedAt: string } {
  return {
    Version: { Index: version },
    CreatedAt: timestamp(createdAtMs),
    UpdatedAt: timestamp(updatedAtMs),
  };
}
