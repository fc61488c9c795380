import { ShoalError } from '../base/errors.ts';
import { API_MINOR_MAX, API_MINOR_MIN } from '../types/version.ts';
import type { ApiVersion } from './types.ts';

const PREFIX = /^\/v(\d+)\.(\d+)(\/.*)$/;

/** Takes the version off a path: `/v1.44/info` is `/info` at 1.44. INVALID_ARGUMENT for versions not spoken here. */
export function splitVersion(path: string): { path: string; version: ApiVersion } {
  const match = PREFIX.exec(path);
  if (!match) return { path, version: { major: 1, minor: API_MINOR_MAX } };
  const [, major, minor, rest] = match;
  const version = { major: Number(major), minor: Number(minor) };
  const asked = `client version ${major}.${minor}`;
  if (version.major < 1 || (version.major === 1 && version.minor < API_MINOR_MIN))
    throw new ShoalError(
      'INVALID_ARGUMENT',
      `${asked} is too old. Minimum supported API version is 1.${API_MINOR_MIN}, please upgrade your client to a newer version`,
    );
  if (version.major > 1 || version.minor > API_MINOR_MAX)
    throw new ShoalError(
      'INVALID_ARGUMENT',
      `${asked} is too new. Maximum supported API version is 1.${API_MINOR_MAX}`,
    );
  return { path: rest as string, version };
}
