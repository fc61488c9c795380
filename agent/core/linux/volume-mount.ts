import { ShoalError } from '#proto/base/errors.ts';
import { MS, mount, SyscallError } from './sys.ts';

const FLAGS: Readonly<Record<string, number>> = {
  ro: MS.RDONLY,
  nosuid: MS.NOSUID,
  nodev: MS.NODEV,
  noexec: MS.NOEXEC,
  bind: MS.BIND,
  rbind: MS.BIND | MS.REC,
};

/** Mounts what the options of a volume describe: `type`, `device`, and `o` as of mount(8). */
export function mountVolume(name: string, options: Readonly<Record<string, string>>, target: string): void {
  const words = (options['o'] ?? '').split(',').filter((word) => word !== '');
  const flags = words.reduce((sum, word) => sum | (FLAGS[word] ?? 0), 0);
  const data = words.filter((word) => !(word in FLAGS) && word !== 'rw').join(',');
  const { device = '', type = '' } = options;
  try {
    mount(device, target, type, flags, data);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    throw new ShoalError(
      'INTERNAL',
      `error while mounting volume '${target}': failed to mount local volume ${name}: mount ${device}:${target}: ${error.code}`,
      { cause: error },
    );
  }
}
