import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import { DataPlane } from './data-plane.ts';
import { LinuxNodeNetwork } from './linux-node-network.ts';
import { linuxNetMachine, type NetMachine } from './net-machine.ts';
import type { NodeNetwork } from './node-network.ts';
import { instanceNames } from './plan/names.ts';
import { deleteTable } from './plan/table.ts';
import { Records } from './records.ts';
import { openNodeResolver } from './resolve.ts';
import { ParentDevices } from './vlan.ts';
import { Wanted } from './wanted.ts';

export interface NodeNetworkOpts {
  /** Tells several daemons of one machine apart; '' for the only one. */
  readonly instance: string;
  /** Directory for what lives until the machine restarts; namespaces are files in its `netns`. */
  readonly execRoot: string;
  /** Take everything away at the end. By default containers keep their network: daemons come and go. */
  readonly teardown?: boolean;
  /**
   * `off` (the default): bridged frames do not pass the packet filter. `leave`: another tool of the machine needs that
   * they do; then a container on a bridge can't reach itself through its own published port.
   */
  readonly bridgeNetfilter?: 'off' | 'leave';
}

export interface NodeNetworkModules {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  /** Where this node's VXLAN packets come from; undefined while it is in no cluster. Asked before every change. */
  readonly dataPathAddr: () => string | undefined;
  /** This machine when absent. */
  readonly machine?: NetMachine;
}

/**
 * The network of the node whose namespace this process runs in. Nothing is touched before `recover` or the first
 * change; containers' names are answered from now on.
 */
export async function openNodeNetwork(
  opts: NodeNetworkOpts,
  modules: NodeNetworkModules,
): Promise<NodeNetwork> {
  const names = instanceNames(opts.instance);
  const machine = modules.machine ?? linuxNetMachine(modules);
  const wanted = new Wanted(new Records(recordsDir(opts)));
  const network = new LinuxNodeNetwork(
    {
      names,
      netnsDir: netnsDir(opts),
      dynamicPorts: dynamicPorts(),
      bridgeNetfilter: opts.bridgeNetfilter ?? 'off',
    },
    {
      ...modules,
      machine,
      wanted,
      ...(opts.teardown ? { atEnd: () => teardownNodeNetwork(opts, modules) } : {}),
    },
  );
  const directory = (): LinuxNodeNetwork['directory'] => network.directory;
  network.answerWith(await openNodeResolver(names, { ...modules, directory }));
  return network;
}

/** Removes everything an instance ever made in this namespace, running or not. */
export async function teardownNodeNetwork(
  opts: Pick<NodeNetworkOpts, 'instance' | 'execRoot'>,
  modules: Pick<NodeNetworkModules, 'clock' | 'log'>,
): Promise<void> {
  const names = instanceNames(opts.instance);
  await using machine = linuxNetMachine(modules);
  const plane = new DataPlane({ names, netnsDir: netnsDir(opts) }, machine);
  plane.adopt();
  const facts = {
    names,
    netnsDir: netnsDir(opts),
    ownNetns: machine.ownNetns,
    resolverPort: 53,
    addresses: [],
    lanMtu: 0,
  };
  const failures = await plane.apply({ facts, sandboxes: new Map(), locals: new Map() });
  await new ParentDevices({ mark: names.table }, machine).releaseAll();
  const left = await machine.commands.load(undefined, deleteTable(names.table));
  // A kernel without it has nothing to take away.
  await machine.commands.load(undefined, deleteTable(names.table, 'ip6'));
  rmSync(recordsDir(opts), { recursive: true, force: true });
  rmSync(netnsDir(opts), { recursive: true, force: true });
  const problem = failures[0]?.message ?? left;
  if (problem !== undefined)
    throw new ShoalError('UNAVAILABLE', `the network was not taken away: ${problem}`);
}

function netnsDir(opts: Pick<NodeNetworkOpts, 'execRoot'>): string {
  return join(opts.execRoot, 'netns');
}

function recordsDir(opts: Pick<NodeNetworkOpts, 'execRoot'>): string {
  return join(opts.execRoot, 'net');
}

const DYNAMIC_PORTS: readonly [number, number] = [49_153, 65_535];

/** The kernel's own range, as Docker does. */
function dynamicPorts(): readonly [number, number] {
  try {
    const text = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
    const [first, last] = text.trim().split(/\s+/).map(Number);
    return first !== undefined && last !== undefined ? [first, last] : DYNAMIC_PORTS;
  } catch {
    return DYNAMIC_PORTS;
  }
}
