import { closeSync, openSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { Clock } from '#proto/base/clock.ts';
import { forgetFlows } from '../core/linux/conntrack.ts';
import { NET_CHANNELS_DEFAULTS, NetChannels } from '../core/linux/net-channels.ts';
import {
  createNamespace,
  isNamespace,
  namespaceFiles,
  removeNamespace,
  type Settings,
  setSettings,
} from '../core/linux/netns.ts';
import { canBind, openSockets, type SocketRow } from '../core/linux/procnet.ts';

/** A namespace by the file it is bound to; undefined is the daemon's own. */
export type NetnsPath = string | undefined;

/**
 * Commands of ip, bridge and nft in namespaces. Kept programs run them today; an implementation that speaks netlink
 * would be another one of these.
 */
export interface NetCommands {
  /** Errors in the order of the commands; rejects when nobody knows what was done. An nft command is a transaction. */
  run(
    netns: NetnsPath,
    tool: 'ip' | 'bridge' | 'nft',
    commands: readonly string[],
  ): Promise<readonly (string | undefined)[]>;
  /**
   * The same by a program that ends with its work: for a namespace that seldom changes, and for commands that name
   * other namespaces, because a kept program holds on to those.
   */
  runOnce(
    netns: NetnsPath,
    tool: 'ip' | 'bridge',
    commands: readonly string[],
  ): Promise<readonly (string | undefined)[]>;
  /** An nft script as one transaction; what is wrong with it, or undefined. */
  load(netns: NetnsPath, script: string): Promise<string | undefined>;
  query(netns: NetnsPath, argv: readonly [string, ...string[]]): Promise<string>;
  /** Ends what is kept there: it holds the namespace no longer, and remembers no device by a number that is another's. */
  release(netns: NetnsPath): Promise<void>;
}

/** The machine, as far as its network goes. */
export interface NetMachine extends AsyncDisposable {
  readonly commands: NetCommands;
  /** Path by which other programs find our own namespace, wherever our threads are at the moment. */
  readonly ownNetns: string;
  createNamespace(path: string): void;
  /** Until it is disposed of, this is what is bound where a namespace with this path is to be created. */
  offerNamespace(path: string, made: string): Disposable;
  removeNamespace(path: string): void;
  isNamespace(path: string): boolean;
  namespaceFiles(directory: string): string[];
  setSettings(netns: NetnsPath, settings: Settings): void;
  forgetFlows(netns: NetnsPath, protocol: 'tcp' | 'udp', addresses: ReadonlySet<string>): Promise<number>;
  /** Whether a server could have this port at this address (0.0.0.0, ::, any of a family) of the own namespace now. */
  canBind(protocol: 'tcp' | 'udp', address: string, port: number): boolean;
  /** Sockets of the own namespace that take what comes. */
  openSockets(protocol: 'tcp' | 'udp'): readonly SocketRow[];
  /** IPv4 addresses of the own namespace, by device; without loopback. */
  addresses(): ReadonlyMap<string, readonly string[]>;
  /** IPv6 addresses of the own namespace, without those of loopback and of links. */
  addresses6(): readonly string[];
}

/** This machine. */
export function linuxNetMachine(modules: { readonly clock: Pick<Clock, 'timer'> }): NetMachine {
  const commands = new NetChannels(NET_CHANNELS_DEFAULTS, modules);
  const home = openSync('/proc/thread-self/ns/net', 'r');
  const offered = new Map<string, string>();
  return {
    commands,
    ownNetns: `/proc/${process.pid}/fd/${home}`,
    createNamespace: (path) => createNamespace(path, offered.get(path)),
    offerNamespace: (path, made) => {
      offered.set(path, made);
      return { [Symbol.dispose]: () => void offered.delete(path) };
    },
    removeNamespace,
    isNamespace,
    namespaceFiles,
    setSettings,
    forgetFlows: (netns, protocol, addresses) => forgetFlows(netns, protocol, addresses, modules),
    canBind,
    openSockets: (protocol) => openSockets('self', protocol),
    addresses: ownAddresses,
    addresses6: ownAddresses6,
    [Symbol.asyncDispose]: async () => {
      await commands[Symbol.asyncDispose]();
      closeSync(home);
    },
  };
}

function ownAddresses(): Map<string, string[]> {
  const found = Object.entries(networkInterfaces()).map(([device, infos]): [string, string[]] => [
    device,
    (infos ?? []).filter((info) => info.family === 'IPv4' && !info.internal).map((info) => info.address),
  ]);
  return new Map(found.filter(([, addresses]) => addresses.length > 0));
}

function ownAddresses6(): string[] {
  const infos = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const own = infos.filter((info) => info.family === 'IPv6' && !info.internal && !info.scopeid);
  return own.map((info) => info.address);
}
