import { ShoalError } from '#proto/base/errors.ts';
import type { OciUser } from './types.ts';

export interface ResolvedUser extends OciUser {
  readonly home: string;
}

/** Contents of /etc/passwd and /etc/group as the container sees them; '' when there is none. */
export interface Accounts {
  readonly passwd: string;
  readonly group: string;
}

const ID_MAX = 2 ** 31 - 1;

/**
 * Who `user` (`name`, `uid`, either with `:group` or `:gid`, or '' for root) is in a container. A number need not be
 * in its files, a name must. FAILED_PRECONDITION with Docker's words when it is not.
 */
export function resolveUser(user: string, groupAdd: readonly string[], accounts: Accounts): ResolvedUser {
  const [userPart = '', groupPart] = user.split(':');
  const groups = entriesOf(accounts.group);
  const account = accountOf(userPart === '' ? '0' : userPart, accounts.passwd);
  const gid = groupPart ? groupId(groupPart, groups) : account.gid;
  const memberOf = groupPart
    ? []
    : groups.filter(
        ([, , , members = '']) => account.name !== '' && members.split(',').includes(account.name),
      );
  const extra = [
    ...memberOf.map((entry) => Number(entry[2])),
    ...groupAdd.map((name) => groupId(name, groups)),
  ];
  return { uid: account.uid, gid, additionalGids: [...new Set([gid, ...extra])], home: account.home };
}

function accountOf(user: string, passwd: string): { name: string; uid: number; gid: number; home: string } {
  const entries = entriesOf(passwd);
  const number = idOf(user);
  const byName = entries.find(([name]) => name === user);
  const entry = byName ?? entries.find((fields) => number !== undefined && Number(fields[2]) === number);
  if (entry) {
    const [name = '', , uid, gid, , home = '/'] = entry;
    return { name, uid: Number(uid), gid: Number(gid), home: home === '' ? '/' : home };
  }
  if (number !== undefined) return { name: '', uid: number, gid: 0, home: number === 0 ? '/root' : '/' };
  throw new ShoalError(
    'FAILED_PRECONDITION',
    `unable to find user ${user}: no matching entries in passwd file`,
  );
}

function groupId(group: string, groups: readonly string[][]): number {
  const entry = groups.find(([name]) => name === group);
  const number = entry ? Number(entry[2]) : idOf(group);
  if (number !== undefined) return number;
  throw new ShoalError(
    'FAILED_PRECONDITION',
    `unable to find group ${group}: no matching entries in group file`,
  );
}

function idOf(text: string): number | undefined {
  if (!/^-?\d+$/.test(text)) return undefined;
  const id = Number(text);
  if (id >= 0 && id <= ID_MAX) return id;
  throw new ShoalError('FAILED_PRECONDITION', `uids and gids must be in range 0-${ID_MAX}`);
}

function entriesOf(file: string): string[][] {
  return file
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));
}
