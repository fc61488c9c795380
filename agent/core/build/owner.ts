import { readFileSync } from 'node:fs';
import { pathInRoot } from '../linux/root-path.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Who `--chown=user[:group]` means in a file system: numbers as they are, names by its passwd and group files. Without a
 * group it is the one of the user's name. Throws an Error with Docker's words.
 */
export function ownerOf(chown: string, root: string): Owner {
  const [user = '', group = user, ...more] = chown.split(':');
  if (more.length > 0) throw new Error(`invalid chown string format: ${chown}`);
  return {
    uid: idOf(user, pathInRoot(root, 'etc/passwd'), `can't find uid for user ${user}: no such user: ${user}`),
    gid: idOf(
      group,
      pathInRoot(root, 'etc/group'),
      `can't find gid for group ${group}: no such group: ${group}`,
    ),
  };
}

/** Both files have the name first and the number third. */
function idOf(name: string, file: string, otherwise: string): number {
  if (/^\d+$/.test(name)) return Number(name);
  const line = linesOf(file).find((fields) => fields[0] === name && /^\d+$/.test(fields[2] ?? ''));
  if (!line) throw new Error(otherwise);
  return Number(line[2]);
}

function linesOf(file: string): string[][] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.split(':'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
