import { newPrivateKey, signingRequest } from '#agent/session/keys.ts';
import { readBackup } from '#manager/api/backup.ts';
import { issueCertificate, nodeIdOf, requestedKey } from '#manager/ca/issue.ts';
import { machineDisk } from '#manager/consensus/disk.ts';
import { dumpSnapshot, dumpState } from '#manager/consensus/dump.ts';
import { DEFAULT_LIMITS } from '#manager/consensus/opts.ts';
import { seedState } from '#manager/consensus/seed.ts';
import { aloneChanges } from '#manager/leader/alone.ts';
import type { Change } from '#manager/store/changes.ts';
import { StoreMachine } from '#manager/store/machine.ts';
import type { StoreView } from '#manager/store/view.ts';
import type { Clock } from '#proto/base/clock.ts';
import { messageOf, ShoalError } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import type { TlsIdentity } from '#proto/rpc/types.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { Node } from '#proto/types/objects.ts';
import type { NodeAvailability } from '#proto/types/states.ts';
import { textOf } from './addresses.ts';
import { controlAddrOf } from './manager.ts';
import type { SwarmSettings } from './swarm-settings.ts';

const NS_PER_MS = 1_000_000;

export interface RestoreOpts {
  /** Where the new manager's Raft state goes. */
  readonly stateDir: string;
  readonly settings: SwarmSettings;
  readonly availability: NodeAvailability;
}

export interface RestoreModules {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** What a node begins with that takes a swarm up from a backup: who it is, and what it writes first. */
export interface Restoration {
  readonly nodeId: NodeId;
  readonly identity: TlsIdentity;
  readonly firstChanges: (view: StoreView) => readonly Change[];
}

/**
 * Puts a backup's state in place as that of a new swarm's only manager, who is this node under a name of its own: a new
 * member of the old swarm, so to say, whose root vouches for it. INVALID_ARGUMENT on what is no whole backup.
 */
export async function restore(
  opts: RestoreOpts,
  backup: AsyncIterable<Uint8Array>,
  modules: RestoreModules,
): Promise<Restoration> {
  const key = newPrivateKey();
  const requested = await requestedKey(await signingRequest(key));
  const nodeId = nodeIdOf(requested);
  const { header, chunks } = await readBackup(backup);
  const { Index: index, Term: term, NextRaftID: raftId } = header;
  const self = { raftId, nodeId, ...addressesOf(opts.settings) };
  const seed = { stateDir: opts.stateDir, self, index, term, segmentBytes: DEFAULT_LIMITS.segmentBytes };
  await seedState(seed, chunks, { ...modules, disk: machineDisk });
  const view = await viewOf(opts.stateDir, index);
  const { cluster } = view;
  if (cluster === undefined) throw new ShoalError('INVALID_ARGUMENT', 'this backup holds no swarm');
  const lifetimeMs = cluster.spec.nodeCertExpiryNs / NS_PER_MS;
  const subject = { nodeId, role: 'manager', clusterId: cluster.id, lifetimeMs } as const;
  const issued = await issueCertificate(cluster.rootCa, subject, requested, modules);
  const nowMs = Math.floor(modules.clock.wallMs());
  const node = {
    id: nodeId,
    spec: { role: 'manager', availability: opts.availability },
    role: 'manager',
    status: { state: 'unknown', sinceMs: nowMs },
    certificateExpiresAtMs: issued.expiresAtMs,
  } as const satisfies Partial<Node>;
  return {
    nodeId,
    identity: { certificate: issued.certificate, key, roots: cluster.rootCa.certificate },
    firstChanges: (now) => [...aloneChanges(now, nodeId, nowMs), { kind: 'putNode', node }],
  };
}

function addressesOf({ advertiseHost, listen, raftPort }: SwarmSettings): {
  raftAddr: string;
  controlAddr: string;
} {
  return {
    raftAddr: textOf({ host: advertiseHost, port: raftPort }),
    controlAddr: controlAddrOf({ advertiseHost, listen }),
  };
}

/** What was written, read back from the disk as a manager will, before anything depends on it. */
async function viewOf(stateDir: string, index: number): Promise<StoreView> {
  const snapshot = [...dumpState(machineDisk, stateDir)].find(({ kind }) => kind === 'snapshot');
  if (snapshot?.kind !== 'snapshot') throw new ShoalError('INTERNAL', 'the restored snapshot is not there');
  const machine = new StoreMachine();
  try {
    await machine.restore(dumpSnapshot(machineDisk, stateDir, snapshot.path), index);
  } catch (error) {
    throw new ShoalError('INVALID_ARGUMENT', `this backup is not whole: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return machine.view();
}
