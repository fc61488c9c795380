import { ShoalError } from '#proto/base/errors.ts';
import type { HostConfig } from '../container-types.ts';

const MIB = 1024 * 1024;

/** What keeps the output of containers. */
export const LOG_DRIVERS: readonly string[] = ['json-file', 'local', 'none'];

/** How the output of a container is kept. */
export interface LogKeeping {
  readonly driver: 'json-file' | 'local' | 'none';
  /** Absent: the file grows without end. */
  readonly bytesMax?: number;
  /** Files kept, with the one being written. */
  readonly filesMax: number;
}

const UNITS: Readonly<Record<string, number>> = { '': 1, b: 1, k: 1024, m: MIB, g: 1024 * MIB };

/** `--log-driver` and `--log-opt max-size, max-file`. INVALID_ARGUMENT for what they can't be. */
export function logOptions({ LogConfig }: Pick<HostConfig, 'LogConfig'>): LogKeeping {
  const driver = LogConfig?.Type || 'json-file';
  const options = LogConfig?.Config ?? {};
  const size = options['max-size'];
  const files = Number(options['max-file'] ?? (driver === 'local' ? 5 : 1));
  if (!Number.isInteger(files) || files < 1)
    throw new ShoalError(
      'INVALID_ARGUMENT',
      `invalid value for max-file: ${options['max-file']}: must be 1 or more`,
    );
  if (driver === 'none') return { driver, filesMax: 1 };
  if (driver === 'local') return { driver, bytesMax: size ? parseSize(size) : 20 * MIB, filesMax: files };
  return {
    driver: 'json-file',
    filesMax: files,
    ...(size && size !== '-1' ? { bytesMax: parseSize(size) } : {}),
  };
}

const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  'json-file': [
    ...['max-size', 'max-file', 'compress', 'mode', 'max-buffer-size'],
    ...['labels', 'labels-regex', 'env', 'env-regex', 'tag'],
  ],
  local: ['max-size', 'max-file', 'compress', 'mode', 'max-buffer-size'],
};

/** INVALID_ARGUMENT for an option that the driver doesn't have. */
export function checkLogOptions({ LogConfig }: Pick<HostConfig, 'LogConfig'>): void {
  const driver = LogConfig?.Type || 'json-file';
  const known = OPTIONS[driver];
  const unknown = Object.keys(LogConfig?.Config ?? {}).find((name) => known && !known.includes(name));
  if (unknown !== undefined)
    throw new ShoalError('INVALID_ARGUMENT', `unknown log opt '${unknown}' for ${driver} log driver`);
}

function parseSize(text: string): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*([bkmg]?)b?$/i.exec(text) ?? [];
  const bytes = Number(number) * (UNITS[unit.toLowerCase()] ?? 1);
  if (number === '' || bytes < 1) throw new ShoalError('INVALID_ARGUMENT', `invalid size: '${text}'`);
  return Math.floor(bytes);
}
