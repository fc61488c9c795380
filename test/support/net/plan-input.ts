import type { LocalNetwork } from '#agent/net/node-network.ts';
import { instanceNames } from '#agent/net/plan/names.ts';
import type { PlanInput } from '#agent/net/plan/plan.ts';
import type { SandboxRecord } from '#agent/net/plan/sandbox-record.ts';
import type { NetworkState } from '#proto/types/assignments.ts';
import { lanAddress, NETWORK } from './cluster.ts';

/** A container id that is easy to read. */
export function idOf(letter: string): string {
  return letter.repeat(64);
}

export const BRIDGE: LocalNetwork = {
  id: idOf('d'),
  name: 'mine',
  driver: 'bridge',
  subnet: '172.18.0.0/16',
  gateway: '172.18.0.1',
  internal: false,
};

/** A container on the test's overlay network. */
export function onOverlay(letter: string, address: string, slot: number): SandboxRecord {
  return {
    containerId: idOf(letter),
    names: [`name-${letter}`],
    attachments: [
      {
        networkId: NETWORK.id,
        number: 0,
        address: `${address}/24`,
        gateway: NETWORK.gateway,
        mac: '02:42:0a:00:01:0b',
        aliases: [],
        overlay: NETWORK,
      },
    ],
    ports: [],
    mesh: true,
    slot,
  };
}

/** A container on a bridge of the machine. */
export function onBridge(letter: string, address: string, network = BRIDGE): SandboxRecord {
  return {
    containerId: idOf(letter),
    names: [`name-${letter}`],
    attachments: [
      {
        networkId: network.id,
        number: 0,
        address: `${address}/16`,
        gateway: network.gateway as string,
        mac: '02:42:ac:12:00:02',
        aliases: [`alias-${letter}`],
      },
    ],
    ports: [],
    mesh: false,
  };
}

/** What a node's plan is made from; node 1 unless said. */
export function inputOf(
  cluster: NetworkState | undefined,
  sandboxes: readonly SandboxRecord[] = [],
  locals: readonly LocalNetwork[] = [],
): PlanInput {
  return {
    facts: {
      names: instanceNames(''),
      netnsDir: '/run/netns-test',
      ownNetns: '/proc/1/fd/9',
      resolverPort: 53,
      dataPathAddr: lanAddress(1),
      addresses: [lanAddress(1)],
      lanMtu: 1_500,
    },
    ...(cluster === undefined ? {} : { cluster }),
    sandboxes: new Map(sandboxes.map((sandbox) => [sandbox.containerId, sandbox])),
    locals: new Map(locals.map((network) => [network.id, network])),
  };
}
