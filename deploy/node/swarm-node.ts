import { NodeIdentity } from '#agent/session/identity.ts';
import { joinCluster } from '#agent/session/join.ts';
import type {
  Addresses,
  InitRequest,
  JoinRequest,
  RestoreRequest,
} from '#manager/api/convert/swarm-requests.ts';
import type {
  LocalNodeState,
  LocalSwarmInfo,
  OperatorLifecycle,
  SwarmLifecycle,
} from '#manager/api/lifecycle.ts';
import { refusalOf } from '#manager/api/manager.ts';
import { unlockSecret } from '#manager/ca/unlock-key.ts';
import { machineDisk } from '#manager/consensus/disk.ts';
import { hasRaftState } from '#manager/consensus/state.ts';
import { aloneChanges } from '#manager/leader/alone.ts';
import { codeOf, messageOf, ShoalError } from '#proto/base/errors.ts';
import type { NodeId } from '#proto/types/ids.ts';
import { addressOf, advertiseAddress, freePort, listenAddress, PEER_PORT } from './addresses.ts';
import { clearTasks, executorOf } from './agent.ts';
import { describeNode } from './describe.ts';
import type { DaemonOpts } from './flags.ts';
import { found } from './founding.ts';
import { leavingManagerText } from './leaving.ts';
import type { Beginning, ManagerPart } from './manager.ts';
import { openingLock } from './manager-lock.ts';
import { restore } from './restoring.ts';
import { type Standing, type StandModules, stand } from './standing.ts';
import { readdressed, SwarmFolder, type SwarmSettings } from './swarm-settings.ts';

export interface SwarmNodeModules extends Omit<StandModules, 'identity' | 'folder'> {}

const JOIN_WAIT_MS = 20_000;
const GOODBYE_MS_MAX = 5_000;

const ALREADY =
  'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.';
const NOT_PART = 'This node is not part of a swarm';
const NO_MANAGER =
  'This node is not a swarm manager: only a manager can go on with the swarm alone, with the state it has.';
const LEAVING_BROKEN =
  'You are attempting to leave the swarm on a node that holds the state of a manager, and its manager does not run. Leaving erases all of it. Use `--force` to ignore this message.';
const LEAVING_LOCKED =
  'Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this message.';
const WRONG_KEY = 'swarm could not be unlocked: invalid key provided';
const JOIN_TIMEOUT =
  'Timeout was reached before node joined. The attempt to join the swarm will continue in the background. Use the "docker info" command to see the current swarm status of your node.';

/** This node's place in a swarm: making one, joining one, leaving it, and standing in it again after a restart. */
export class SwarmNode implements SwarmLifecycle, OperatorLifecycle, AsyncDisposable {
  readonly #opts: DaemonOpts;
  readonly #modules: SwarmNodeModules;
  readonly #folder: SwarmFolder;
  readonly #identity: NodeIdentity;
  #standing: Standing | undefined;
  #settings: SwarmSettings | undefined;
  #trouble: { readonly state: LocalNodeState; readonly error?: string } = { state: 'inactive' };
  /** One thing at a time. */
  #turn: Promise<unknown> = Promise.resolve();
  readonly #stopping = new AbortController();

  private constructor(
    opts: DaemonOpts,
    folder: SwarmFolder,
    identity: NodeIdentity,
    modules: SwarmNodeModules,
  ) {
    this.#opts = opts;
    this.#folder = folder;
    this.#identity = identity;
    this.#modules = modules;
  }

  static async open(opts: DaemonOpts, modules: SwarmNodeModules): Promise<SwarmNode> {
    const folder = new SwarmFolder(opts.dataRoot);
    return new SwarmNode(opts, folder, await NodeIdentity.open(folder.path), modules);
  }

  /** The manager of this node, while there is one. */
  get manager(): ManagerPart | undefined {
    return this.#standing?.manager.current;
  }

  /** Its certificate is a manager's, whether one runs or not. */
  get isManager(): boolean {
    return this.#identity.joined && this.#identity.peer().role === 'manager';
  }

  get nodeId(): NodeId | undefined {
    return this.#identity.joined ? this.#identity.peer().nodeId : undefined;
  }

  /** Where VXLAN packets of this node come from. */
  get dataPathAddr(): string | undefined {
    return this.#settings?.dataPathAddr;
  }

  init(request: InitRequest): Promise<NodeId> {
    if (request.forceNewCluster && this.#identity.joined) return this.recover(request);
    return this.#inTurn(async () => {
      this.#requireInactive();
      const settings = await this.#place(request, true);
      try {
        return await this.#found(request, settings);
      } catch (error) {
        await this.#abandon();
        throw error;
      }
    });
  }

  /**
   * The other managers are gone for good: this one goes on alone with all that it has, at other addresses if some are
   * asked for. NOT_MANAGER where it is none.
   */
  recover(asked?: Addresses): Promise<NodeId> {
    return this.#inTurn(async () => {
      const settings = await this.#folder.read();
      if (this.#identity.isLocked) throw refusalOf('locked');
      const lock = openingLock(this.#identity, this.#folder.raft);
      const isManager = this.isManager && hasRaftState(machineDisk, this.#folder.raft, lock);
      if (settings === undefined || !isManager) throw new ShoalError('NOT_MANAGER', NO_MANAGER);
      const next = { ...(asked === undefined ? settings : readdressed(settings, asked)), alone: true };
      await this.#folder.write(next);
      await this.#standing?.[Symbol.asyncDispose]();
      this.#standing = undefined;
      await this.#standAsBefore(next);
      return this.#identity.peer().nodeId;
    });
  }

  /** Takes a swarm up from a backup; a failure leaves nothing of it. */
  restore(request: RestoreRequest, backup: AsyncIterable<Uint8Array>): Promise<NodeId> {
    return this.#inTurn(async () => {
      this.#requireInactive();
      const settings = await this.#place(request, true);
      try {
        return await this.#restore(request, settings, backup);
      } catch (error) {
        await this.#abandon();
        throw error;
      }
    });
  }

  join(request: JoinRequest): Promise<void> {
    const joined = this.#inTurn(async () => {
      this.#requireInactive();
      const settings = await this.#place(request, false);
      this.#trouble = { state: 'pending' };
      try {
        await this.#join(request, settings);
      } catch (error) {
        await this.#abandon();
        throw error;
      }
    });
    // Who has joined has told a manager its name: what is asked of the swarm next may say it.
    return this.#withinPatience(joined.then(() => this.#standing?.agent.membership.session.begun));
  }

  leave(force: boolean): Promise<void> {
    return this.#inTurn(async () => {
      const standing = this.#standing;
      const isBroken = this.#trouble.state === 'error';
      if (standing === undefined && !this.#identity.joined && !isBroken)
        throw new ShoalError('NOT_MANAGER', NOT_PART);
      if (this.#identity.isLocked && !force) throw new ShoalError('UNAVAILABLE', LEAVING_LOCKED);
      if (standing?.manager.current !== undefined && !force) {
        throw new ShoalError('UNAVAILABLE', await leavingManagerText(standing.manager.current.consensus));
      }
      if (!force && (this.isManager || isBroken) && this.#folder.holdsRaft())
        throw new ShoalError('UNAVAILABLE', LEAVING_BROKEN);
      if (standing === undefined) await this.#clearAway();
      else await this.#takeLeave(standing);
      await this.#abandon();
    });
  }

  /** Encrypts what this manager has on disk with a new key, while it runs. */
  async rotateKey(): Promise<void> {
    if (this.#standing === undefined) throw refusalOf('inactive');
    await this.#standing.manager.rotateKey();
  }

  /** Opens what this manager has on disk, and takes its place. CONFLICT where nothing is locked, UNAUTHENTICATED with another key. */
  unlock(key: string): Promise<void> {
    return this.#inTurn(async () => {
      if (!this.#identity.isLocked) throw new ShoalError('CONFLICT', 'swarm is not locked');
      await this.#identity.unlock(unlockSecret(key)).catch((error: unknown) => {
        throw codeOf(error) === 'UNAUTHENTICATED' ? new ShoalError('UNAUTHENTICATED', WRONG_KEY) : error;
      });
      const settings = await this.#folder.read();
      if (settings !== undefined) await this.#standAsBefore(settings);
    });
  }

  info(): LocalSwarmInfo {
    const nodeId = this.nodeId;
    const settings = this.#settings;
    const managers = this.#standing?.agent.membership.managers.all() ?? [];
    const error = this.#standing?.manager.trouble;
    return {
      ...this.#trouble,
      ...(error === undefined ? {} : { error }),
      ...(nodeId === undefined ? {} : { nodeId }),
      ...(settings === undefined ? {} : { nodeAddr: settings.advertiseHost }),
      managers: managers.flatMap(({ nodeId: id, addr }) => (id === undefined ? [] : [{ nodeId: id, addr }])),
    };
  }

  /** Stops standing; tasks and their traffic go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new Error('the daemon is stopping'));
    await this.#turn.catch(() => undefined);
    await this.#standing?.[Symbol.asyncDispose]();
    this.#standing = undefined;
  }

  /** Stands again where the last daemon stood; a failure is told by `info`, and does not end this one. */
  async resume(): Promise<void> {
    try {
      await this.#resume();
    } catch (error) {
      this.#trouble = { state: 'error', error: messageOf(error) };
      this.#modules.log.error('this node can’t take its place in the swarm', { err: error });
    }
  }

  async #resume(): Promise<void> {
    const settings = await this.#folder.read();
    const isFounding = settings?.founding === true;
    if (!isFounding) this.#refuseLoss(settings);
    if (settings === undefined || isFounding || !this.#identity.joined) return this.#abandon();
    if (this.#identity.isLocked) {
      this.#settings = settings;
      this.#trouble = { state: 'locked' };
      return;
    }
    await this.#standAsBefore(settings);
  }

  /** A node that was never whole is given up; one that has lost a file of several is not, for the others may be all there is. */
  #refuseLoss(settings: SwarmSettings | undefined): void {
    const { joined } = this.#identity;
    const lost =
      joined && settings === undefined
        ? 'settings.json'
        : !joined && this.#folder.holdsRaft()
          ? 'identity.json'
          : undefined;
    if (lost === undefined) return;
    throw new ShoalError(
      'FAILED_PRECONDITION',
      `${this.#folder.path}/${lost} is missing, and what else this node had in a swarm is there. Nothing was changed. ` +
        'Put the file back and start the daemon again; or give up what is there with "docker swarm leave --force"',
    );
  }

  async #standAsBefore(settings: SwarmSettings): Promise<void> {
    this.#settings = settings;
    try {
      this.#standing = await this.#stand(settings, [], settings.alone ? this.#aloneBeginning() : undefined);
      if (settings.alone) await this.#settle(settings);
      this.#trouble = { state: 'active' };
    } catch (error) {
      this.#trouble = { state: 'error', error: messageOf(error) };
      throw error;
    }
  }

  #aloneBeginning(): Beginning {
    const { nodeId } = this.#identity.peer();
    const nowMs = this.#modules.clock.wallMs();
    return {
      start: { kind: 'restart' },
      forceNewCluster: true,
      firstChanges: (view) => aloneChanges(view, nodeId, nowMs),
    };
  }

  /** What was begun is done: a restart goes on from it. */
  async #settle(begun: SwarmSettings): Promise<void> {
    const { founding: _founding, alone: _alone, ...settled } = begun;
    await this.#folder.write(settled);
    this.#settings = settled;
  }

  /** Chooses addresses and ports, and remembers them. */
  async #place(request: Addresses, founding: boolean): Promise<SwarmSettings> {
    const listen = listenAddress(request.listenAddr);
    const asked = request.advertiseAddr ?? this.#opts.swarmDefaultAdvertiseAddr ?? '';
    const advertise = advertiseAddress(asked, listen);
    const settings: SwarmSettings = {
      listen,
      raftPort: await freePort(listen.host, listen.port + 1),
      peerPort: await freePort(listen.host, PEER_PORT),
      advertiseHost: advertise.host,
      dataPathAddr:
        request.dataPathAddr === undefined
          ? advertise.host
          : addressOf(request.dataPathAddr, '--data-path-addr'),
      ...(founding ? { founding } : {}),
    };
    await this.#folder.write(settings);
    this.#settings = settings;
    return settings;
  }

  async #found(request: InitRequest, settings: SwarmSettings): Promise<NodeId> {
    const { nodeId, identity, changes } = await found(request, this.#modules);
    await this.#identity.adopt(identity);
    const start = { kind: 'bootstrap' } as const;
    this.#standing = await this.#stand(settings, [], { start, firstChanges: () => changes });
    await this.#settle(settings);
    this.#trouble = { state: 'active' };
    return nodeId;
  }

  async #restore(
    { availability }: RestoreRequest,
    settings: SwarmSettings,
    backup: AsyncIterable<Uint8Array>,
  ): Promise<NodeId> {
    const opts = { stateDir: this.#folder.raft, settings, availability };
    const { nodeId, identity, firstChanges } = await restore(opts, backup, this.#modules);
    await this.#identity.adopt(identity);
    this.#standing = await this.#stand(settings, [], { start: { kind: 'restart' }, firstChanges });
    await this.#settle(settings);
    this.#trouble = { state: 'active' };
    return nodeId;
  }

  async #join(request: JoinRequest, settings: SwarmSettings): Promise<void> {
    const { remoteAddrs, joinToken, availability } = request;
    const { log } = this.#modules;
    await joinCluster(
      { remoteAddrs, token: joinToken, availability },
      { identity: this.#identity, dir: this.#folder.path, log },
      this.#stopping.signal,
    );
    this.#standing = await this.#stand(settings, remoteAddrs);
    this.#trouble = { state: 'active' };
  }

  #stand(
    settings: SwarmSettings,
    remoteAddrs: readonly string[] = [],
    beginning?: Beginning,
  ): Promise<Standing> {
    const place = { daemon: this.#opts, settings, remoteAddrs, ...(beginning && { beginning }) };
    return stand(place, { ...this.#modules, identity: this.#identity, folder: this.#folder });
  }

  /** Tells the others, and stops all that ran for the swarm. */
  async #takeLeave(standing: Standing): Promise<void> {
    const { log } = this.#modules;
    const patience = AbortSignal.timeout(GOODBYE_MS_MAX);
    await standing.manager.leaveGroup(patience).catch((error: unknown) => {
      log.warn('left without the other managers’ consent', { err: error });
    });
    await standing.agent.membership.session.goodbye('left the swarm');
    const { executor } = standing.agent;
    await standing[Symbol.asyncDispose]();
    this.#standing = undefined;
    await clearTasks(executor, this.#modules, this.#stopping.signal);
  }

  /** The same on a node that could not take its place, because it is locked or broken. */
  async #clearAway(): Promise<void> {
    const { machine, clock } = this.#modules;
    const settings = this.#settings;
    if (settings === undefined) return;
    const { advertiseHost: host, peerPort: port, dataPathAddr } = settings;
    const describe = () => describeNode(this.#opts, { peer: { host, port }, dataPathAddr });
    const executor = executorOf(this.#opts, { machine, clock, describe });
    await clearTasks(executor, this.#modules, this.#stopping.signal);
  }

  async #abandon(): Promise<void> {
    await this.#standing?.[Symbol.asyncDispose]();
    this.#standing = undefined;
    this.#settings = undefined;
    // In this order: one that is cut short is not taken for a manager that lost a file.
    await this.#folder.forgetRaft();
    await this.#identity.forget();
    await this.#folder.forget();
    this.#trouble = { state: 'inactive' };
  }

  #requireInactive(): void {
    const isBroken = this.#trouble.state === 'error';
    if (this.#standing !== undefined || this.#identity.joined || isBroken)
      throw new ShoalError('UNAVAILABLE', ALREADY);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** A join that takes long goes on without its caller. */
  async #withinPatience(joined: Promise<void>): Promise<void> {
    const late = Promise.withResolvers<never>();
    const cancel = this.#modules.clock.timer(JOIN_WAIT_MS, () => {
      late.reject(new ShoalError('UNAVAILABLE', JOIN_TIMEOUT));
    });
    try {
      await Promise.race([joined, late.promise]);
    } finally {
      cancel();
    }
  }
}
