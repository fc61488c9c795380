import { ShoalError } from '#proto/base/errors.ts';
import { writeFailure } from '../disk.ts';
import { textOf } from '../tar/entry.ts';

/** What the kernel refuses because of what the archive says, in the words that people know it by. */
const REASONS: Readonly<Record<string, string>> = {
  EINVAL: 'invalid argument',
  EISDIR: 'is a directory',
  ELOOP: 'too many levels of symbolic links',
  EMLINK: 'too many links',
  ENAMETOOLONG: 'file name too long',
  ENOENT: 'no such file or directory',
  ENOTDIR: 'not a directory',
  ENXIO: 'no such device or address',
  EPERM: 'operation not permitted',
  ERANGE: 'numerical result out of range',
  EXDEV: 'invalid cross-device link',
  E2BIG: 'argument list too long',
  ERR_INVALID_ARG_VALUE: 'invalid argument',
  ERR_OUT_OF_RANGE: 'numerical result out of range',
};

/** A failure to write an entry: what the archive is to blame for is INVALID_ARGUMENT, and names the entry. */
export function entryFailure(error: unknown, name: string): unknown {
  if (error instanceof ShoalError) return error;
  const reason = REASONS[(error as NodeJS.ErrnoException).code ?? ''];
  if (reason === undefined) return writeFailure(error);
  return new ShoalError('INVALID_ARGUMENT', `archive/tar: ${textOf(name)}: ${reason}`, { cause: error });
}
