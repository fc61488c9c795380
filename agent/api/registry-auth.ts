import type { IncomingHttpHeaders } from 'node:http';
import { ShoalError } from '#proto/base/errors.ts';
import type { RegistryAuth } from '../core/engine.ts';

/** `X-Registry-Auth`: base64url of JSON, with padding or without. What can't be read counts as nothing. */
export function registryAuth(headers: IncomingHttpHeaders): RegistryAuth | undefined {
  const parsed = decoded(headers['x-registry-auth']);
  return parsed === undefined ? undefined : authOf(parsed);
}

/** `X-Registry-Config`: the same of a map, by registry. */
export function registryAuths(headers: IncomingHttpHeaders): Record<string, RegistryAuth> {
  const parsed = decoded(headers['x-registry-config']) ?? {};
  return Object.fromEntries(
    Object.entries(parsed).map(([host, auth]) => [host, authOf((auth ?? {}) as Record<string, unknown>)]),
  );
}

const FIELDS = ['username', 'password', 'identitytoken', 'registrytoken', 'serveraddress'] as const;

/** Credentials out of a JSON object; `auth` is `user:password` in base64. */
export function authOf(parsed: Record<string, unknown>): RegistryAuth {
  const known = FIELDS.filter((field) => typeof parsed[field] === 'string' && parsed[field] !== '');
  const auth = Object.fromEntries(known.map((field) => [field, parsed[field]])) as RegistryAuth;
  if (auth.username !== undefined || typeof parsed['auth'] !== 'string' || parsed['auth'] === '') return auth;
  const [username = '', ...password] = Buffer.from(parsed['auth'], 'base64').toString('utf8').split(':');
  return { ...auth, username, password: password.join(':') };
}

function decoded(header: string | string[] | undefined): Record<string, unknown> | undefined {
  if (typeof header !== 'string' || header === '') return undefined;
  try {
    const parsed: unknown = JSON.parse(Buffer.from(header, 'base64url').toString('utf8'));
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : undefined;
  } catch (error) {
    throw new ShoalError('INVALID_ARGUMENT', 'invalid X-Registry-Auth header', { cause: error });
  }
}
