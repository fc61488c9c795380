import type { NodeIdentity } from '#agent/session/identity.ts';
import type { ClusterEvent } from '#manager/api/events.ts';
import { machineDisk } from '#manager/consensus/disk.ts';
import type { StartOpts } from '#manager/consensus/opts.ts';
import { hasRaftState } from '#manager/consensus/state.ts';
import type { Clock } from '#proto/base/clock.ts';
import type { Log } from '#proto/base/log.ts';
import type { Metrics } from '#proto/base/metrics.ts';
import type { Random } from '#proto/base/random.ts';
import { openDialer } from '#proto/rpc/client.ts';
import type { RpcDialer } from '#proto/rpc/types.ts';
import { textOf } from './addresses.ts';
import { askToJoin, askToLeave, type RaftCaller } from './join-raft.ts';
import { controlAddrOf, type ManagerPart, startManager } from './manager.ts';
import type { SwarmFolder, SwarmSettings } from './swarm-settings.ts';

export interface ManagerSwitchModules {
  readonly identity: NodeIdentity;
  readonly folder: SwarmFolder;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly onFailure: (error: Error) => void;
  readonly onEvent: (event: ClusterEvent) => void;
  /** host:port of managers that this node knows. */
  readonly managers: () => readonly string[];
  /** Adds what a manager offers beyond its own services, and wakes who waits for one. */
  readonly onStarted?: (manager: ManagerPart, dialer: RpcDialer) => void;
}

const RETRY_MS = 2_000;

/** Runs a manager on this node for as long as its certificate says that it is one. */
export class ManagerSwitch implements AsyncDisposable {
  readonly #settings: SwarmSettings;
  readonly #modules: ManagerSwitchModules;
  readonly #dialer: RpcDialer & AsyncDisposable;
  readonly #stopping = new AbortController();
  #current: ManagerPart | undefined;
  #unfollow: () => void = () => undefined;
  /** Starting and stopping, one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(settings: SwarmSettings, modules: ManagerSwitchModules) {
    this.#settings = settings;
    this.#modules = modules;
    this.#dialer = openDialer({}, modules);
  }

  /** The manager, while it runs. */
  get current(): ManagerPart | undefined {
    return this.#current;
  }

  get dialer(): RpcDialer {
    return this.#dialer;
  }

  /** Starts the manager if this node is one: anew, as it was before, or as a newcomer to the group. */
  async start(start?: StartOpts): Promise<void> {
    const { identity, folder, onStarted } = this.#modules;
    if (identity.peer().role !== 'manager' || this.#current !== undefined) return;
    const { nodeId } = identity.peer();
    const { listen, raftPort, advertiseHost } = this.#settings;
    const known = hasRaftState(machineDisk, folder.raft);
    const chosen = start ?? (known ? ({ kind: 'restart' } as const) : await this.#askToJoin());
    const opts = { stateDir: folder.raft, nodeId, listen, raftPort, advertiseHost, start: chosen };
    const manager = await startManager(opts, { ...this.#modules, dialer: this.#dialer });
    this.#current = manager;
    onStarted?.(manager, this.#dialer);
  }

  /** From now on the manager comes and goes with the role in the node's certificate. */
  followRole(): void {
    const follow = (): void => {
      this.#turn = this.#turn.then(() => this.#become());
    };
    this.#unfollow = this.#modules.identity.onChange(follow);
    follow();
  }

  /** Tells the group that this manager goes for good. */
  async leaveGroup(signal: AbortSignal): Promise<void> {
    const consensus = this.#current?.consensus;
    if (consensus === undefined) return;
    const { self, members } = await consensus.status();
    if (members.length <= 1) return;
    if (consensus.leadership().leading) await consensus.transferLeadership();
    await askToLeave(self.nodeId, { ...this.#modules, dialer: this.#dialer }, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unfollow();
    this.#stopping.abort(new Error('stopping'));
    await this.#turn;
    await this.#current?.[Symbol.asyncDispose]();
    this.#current = undefined;
    await this.#dialer[Symbol.asyncDispose]();
  }

  async #become(): Promise<void> {
    const { identity, log, clock } = this.#modules;
    while (!this.#stopping.signal.aborted && identity.joined) {
      try {
        if (identity.peer().role === 'manager') return await this.start();
        return await this.#stepDown();
      } catch (error) {
        log.error('this node can’t yet be what its certificate says', { err: error });
        await clock.sleep(RETRY_MS, this.#stopping.signal).catch(() => undefined);
      }
    }
  }

  async #stepDown(): Promise<void> {
    if (this.#current === undefined) return;
    await this.#current[Symbol.asyncDispose]();
    this.#current = undefined;
    await this.#modules.folder.forgetRaft();
  }

  #askToJoin(): Promise<StartOpts> {
    const modules = { ...this.#modules, dialer: this.#dialer };
    return askToJoin(this.#caller(), modules, this.#stopping.signal);
  }

  #caller(): RaftCaller {
    const { advertiseHost, raftPort } = this.#settings;
    return {
      nodeId: this.#modules.identity.peer().nodeId,
      raftAddr: textOf({ host: advertiseHost, port: raftPort }),
      controlAddr: controlAddrOf(this.#settings),
    };
  }
}
