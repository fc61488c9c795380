import { existsSync, readdirSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readJson, writeJson } from '#agent/session/files.ts';
import type { Addresses } from '#manager/api/convert/swarm-requests.ts';
import { SWARM_DEFAULTS } from '#manager/control/cluster-defaults.ts';
import { addressOf, advertiseAddress, type HostPort, listenAddress } from './addresses.ts';

/** What this node decided about its place in a swarm, kept so that a restart stands where it stood. */
export interface SwarmSettings {
  /** Where the control service listens while this node is a manager. */
  readonly listen: HostPort;
  readonly raftPort: number;
  readonly peerPort: number;
  /** What other nodes are told. */
  readonly advertiseHost: string;
  readonly dataPathAddr: string;
  /** A swarm is being made: until that is done, a restart begins from nothing. */
  readonly founding?: boolean;
  /** This manager goes on alone: until that is done, a restart begins it again. */
  readonly alone?: boolean;
}

/** The same place at the addresses that are asked for; what is left at its default stays. */
export function readdressed(settings: SwarmSettings, asked: Addresses): SwarmSettings {
  const { listenAddr, advertiseAddr = '', dataPathAddr } = asked;
  const isDefault = listenAddr === '' || listenAddr === SWARM_DEFAULTS.listenAddr;
  const listen = isDefault ? settings.listen : listenAddress(listenAddr);
  return {
    ...settings,
    listen,
    ...(advertiseAddr !== '' && { advertiseHost: advertiseAddress(advertiseAddr, listen).host }),
    ...(dataPathAddr !== undefined && { dataPathAddr: addressOf(dataPathAddr, '--data-path-addr') }),
  };
}

/** The folder of everything that this node knows as a member of a swarm. */
export class SwarmFolder {
  readonly path: string;

  constructor(dataRoot: string) {
    this.path = join(dataRoot, 'swarm');
  }

  /** Log and snapshots of the manager. */
  get raft(): string {
    return join(this.path, 'raft');
  }

  async read(): Promise<SwarmSettings | undefined> {
    return (await readJson(join(this.path, 'settings.json'))) as SwarmSettings | undefined;
  }

  async write(settings: SwarmSettings): Promise<void> {
    await mkdir(this.path, { recursive: true, mode: 0o700 });
    await writeJson(join(this.path, 'settings.json'), settings);
  }

  /** Whether there is anything of a manager's state, whole or not. */
  holdsRaft(): boolean {
    return [this.raft, join(this.raft, 'log'), join(this.raft, 'snapshots')].some((path) =>
      namesIn(path).some((name) => name !== 'log' && name !== 'snapshots'),
    );
  }

  /** A demoted manager keeps nothing of what only managers may know: all of it goes at once, as far as a restart sees. */
  async forgetRaft(): Promise<void> {
    const going = `${this.raft}.going`;
    await rm(going, { recursive: true, force: true });
    if (existsSync(this.raft)) await rename(this.raft, going);
    await rm(going, { recursive: true, force: true });
  }

  /** What only this manager may know, of a group that lost its members to another: kept, the newest, and looked at by nobody. */
  async setAsideRaft(): Promise<string> {
    const aside = `${this.raft}.removed`;
    await rm(aside, { recursive: true, force: true });
    await rename(this.raft, aside);
    return aside;
  }

  async forget(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

function namesIn(path: string): readonly string[] {
  return existsSync(path) ? readdirSync(path) : [];
}
