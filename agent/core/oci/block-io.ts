import { statSync } from 'node:fs';
import { ShoalError } from '#proto/base/errors.ts';
import type { HostConfig } from '../container-types.ts';
import { type DeviceNumbers, deviceNumbers } from './devices.ts';

import type { OciBlockIo } from './types.ts';

const THROTTLES = {
  throttleReadBpsDevice: 'BlkioDeviceReadBps',
  throttleWriteBpsDevice: 'BlkioDeviceWriteBps',
  throttleReadIOPSDevice: 'BlkioDeviceReadIOps',
  throttleWriteIOPSDevice: 'BlkioDeviceWriteIOps',
} as const;

/**
 * How fast a container may read and write devices; weights only where the machine goes by them. INVALID_ARGUMENT for a path that is no
 * device.
 */
export function blockIoOf(config: HostConfig, byWeight: boolean): OciBlockIo | undefined {
  const throttles = Object.entries(THROTTLES).map(([name, field]) => {
    const limits = config[field] ?? [];
    return [name, limits.map(({ Path, Rate }) => ({ ...numbersOf(Path), rate: Rate }))] as const;
  });
  const weights = (config.BlkioWeightDevice ?? []).map(({ Path, Weight }) => ({
    ...numbersOf(Path),
    weight: Weight,
  }));
  const io: OciBlockIo = {
    ...(byWeight && config.BlkioWeight ? { weight: config.BlkioWeight } : {}),
    ...(byWeight && weights.length > 0 ? { weightDevice: weights } : {}),
    ...Object.fromEntries(throttles.filter(([, limits]) => limits.length > 0)),
  };
  return Object.keys(io).length > 0 ? io : undefined;
}

function numbersOf(path: string): DeviceNumbers {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new ShoalError('INVALID_ARGUMENT', `no such device: ${path}`);
  if (!found.isBlockDevice()) throw new ShoalError('INVALID_ARGUMENT', `${path} is not a block device`);
  return deviceNumbers(found.rdev);
}
