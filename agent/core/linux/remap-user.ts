import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ShoalError } from '#proto/base/errors.ts';
import { type IdMaps, type IdRange, subordinateIds } from './id-map.ts';

/** `--userns-remap default`: a user of this name, made when there is none. */
const DEFAULT = 'default';
const DEFAULT_USER = 'dockremap';
/** Of the ids that a new user gets. */
const FIRST_ID = 100_000;
const ID_COUNT = 65_536;

/** Name and number of a user or group. */
interface Account {
  readonly name: string;
  readonly id: number;
}

/** Where accounts are looked up, and who makes one. */
export interface AccountModules {
  /** Content of a file of /etc; throws when there is none. */
  readonly read: (name: string) => string;
  /** Runs a program of the system; throws when it fails. */
  readonly run: (command: readonly [string, ...string[]]) => void;
}

export const SYSTEM_ACCOUNTS: AccountModules = {
  read: (name) => readFileSync(join('/etc', name), 'utf8'),
  run: ([program, ...args]) => {
    const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${program}: ${error?.message ?? stderr.trim()}`);
  },
};

/**
 * The ids that containers are to have on the machine: those that /etc/subuid and /etc/subgid give to the user of
 * `--userns-remap` (`default`, `user[:group]`, names or numbers). Undefined for root, who can't be remapped with itself.
 * FAILED_PRECONDITION with dockerd's words.
 */
export function remapFor(flag: string, modules: AccountModules): IdMaps | undefined {
  try {
    const { user, group } = accountsOf(flag, modules);
    if (user.name === 'root') return undefined;
    const names = [user.name, String(user.id)];
    const users = idsOf('subuid', names, modules);
    const groups = idsOf('subgid', [...names, group.name], modules);
    if (users.length === 0) throw new Error(noRanges('subuid', 'user', user.name));
    if (groups.length === 0) throw new Error(noRanges('subgid', 'group', group.name));
    return { users, groups };
  } catch (error) {
    throw new ShoalError('FAILED_PRECONDITION', (error as Error).message, { cause: error });
  }
}

function noRanges(file: string, kind: string, name: string): string {
  return `Can't create ID mappings: no ${file} ranges found for ${kind} "${name}"`;
}

function idsOf(file: 'subuid' | 'subgid', names: readonly string[], { read }: AccountModules): IdRange[] {
  return subordinateIds(read(file), `/etc/${file}`, names);
}

function accountsOf(flag: string, modules: AccountModules): { user: Account; group: Account } {
  const [asked = '', askedGroup, ...more] = flag.split(':');
  if (more.length > 0) throw new Error(`Invalid user/group specification in --userns-remap: "${flag}"`);
  const name = asked === DEFAULT ? DEFAULT_USER : asked;
  if (asked === DEFAULT && find(name, 'passwd', modules) === undefined) addUser(name, modules);
  const user = find(name, 'passwd', modules);
  if (user === undefined) throw missing(name, 'Uid', 'passwd', 'uid');
  // A number alone is that of the group as well, a name alone the group's name.
  const groupName = askedGroup ?? name;
  const group = find(groupName, 'group', modules);
  if (group === undefined) throw missing(groupName, 'Gid', 'group', 'gid');
  return { user, group };
}

function missing(name: string, what: string, file: string, kind: string): Error {
  return isNumber(name)
    ? new Error(`${what} ${name} has no entry in /etc/${file}`)
    : new Error(`Error during ${kind} lookup for "${name}": no matching entries in ${file} file`);
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}

function find(name: string, file: 'passwd' | 'group', { read }: AccountModules): Account | undefined {
  const accounts = read(file)
    .split('\n')
    .map((line) => line.split(':'))
    .map(([entry = '', , id = '']) => ({ name: entry, id: Number(id) }));
  return accounts.find((account) => (isNumber(name) ? account.id === Number(name) : account.name === name));
}

/** As dockerd does: a user of the system, with the next ids that nobody else has. */
function addUser(name: string, modules: AccountModules): void {
  try {
    const shape = ['--system', '--user-group', '--no-create-home', '--shell', '/bin/false'];
    modules.run(['useradd', ...shape, name]);
    for (const [file, option] of [
      ['subuid', '--add-subuids'],
      ['subgid', '--add-subgids'],
    ] as const) {
      const text = textOf(file, modules);
      if (subordinateIds(text, `/etc/${file}`, [name]).length > 0) continue;
      const first = firstFree(text);
      modules.run(['usermod', option, `${first}-${first + ID_COUNT - 1}`, name]);
    }
  } catch (error) {
    throw new Error(`Error during "${name}" user creation: ${(error as Error).message}`, { cause: error });
  }
}

function textOf(file: string, { read }: AccountModules): string {
  try {
    return read(file);
  } catch {
    return '';
  }
}

function firstFree(text: string): number {
  const taken = text.split('\n').map((line) => line.split(':').slice(1).map(Number));
  const ends = taken.map(([first = 0, count = 0]) => first + count);
  return Math.max(FIRST_ID, ...ends);
}
