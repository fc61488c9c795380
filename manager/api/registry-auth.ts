import type { IncomingHttpHeaders } from 'node:http';
import type { RegistryAuth } from '#proto/types/specs.ts';

const KEYS = ['username', 'password', 'identitytoken', 'registrytoken', 'serveraddress'] as const;

/** Who pulls, from the header X-Registry-Auth (base64 of JSON). One that can't be read is passed over, as in the Engine. */
export function registryAuth(headers: IncomingHttpHeaders): RegistryAuth | undefined {
  const header = headers['x-registry-auth'];
  if (typeof header !== 'string' || header === '') return undefined;
  try {
    const given = JSON.parse(Buffer.from(header, 'base64url').toString()) as Record<string, unknown>;
    const known = KEYS.flatMap((key) => (typeof given[key] === 'string' ? [[key, given[key]]] : []));
    return known.length === 0 ? undefined : (Object.fromEntries(known) as RegistryAuth);
  } catch {
    return undefined;
  }
}
