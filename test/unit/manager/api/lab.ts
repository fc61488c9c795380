import type { LocalSwarmInfo, SwarmLifecycle } from '#manager/api/lifecycle.ts';
import type { ClusterApiModules, ManagerParts, NoManager } from '#manager/api/manager.ts';
import { leaderRoutes } from '#manager/api/routes.ts';
import type { Consensus } from '#manager/consensus/consensus.ts';
import { type Control, openControl } from '#manager/control/control.ts';
import type { ImageResolver } from '#manager/control/image-pin.ts';
import { freshNetworks } from '#manager/leader/bootstrap.ts';
import type { Change } from '#manager/store/changes.ts';
import type { StoreView } from '#manager/store/view.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { nullLog } from '#proto/base/log.ts';
import { seededRandom } from '#proto/base/random.ts';
import { callApi } from '#proto/http/call.ts';
import { Router } from '#proto/http/router.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { Cluster, Node, Stored } from '#proto/types/objects.ts';
import type { RegistryAuth } from '#proto/types/specs.ts';
import { clusterRow, testCa } from '#test/support/certificates.ts';
import { descriptionOf } from '#test/support/cluster.ts';
import { openTestStore, type TestStore } from '#test/support/local-log.ts';

/** The manager that the test store's log calls itself. */
export const SELF = 'local-manager' as NodeId;
export const DIGEST = `sha256:${'a'.repeat(64)}`;

const row: Promise<Omit<Cluster, keyof Stored>> = testCa().then(clusterRow);

export interface Answer {
  readonly status: number;
  /** Parsed; undefined when empty. */
  readonly body: unknown;
}

/** Images by name; others can't be found. */
export class FakeImages implements ImageResolver {
  readonly asked: { readonly reference: string; readonly auth: RegistryAuth | undefined }[] = [];
  readonly known = new Map([['nginx:1', DIGEST]]);

  async resolve(reference: string, auth?: RegistryAuth): ReturnType<ImageResolver['resolve']> {
    this.asked.push({ reference, auth });
    const digest = this.known.get(reference);
    if (digest === undefined) throw new ShoalError('NOT_FOUND', `manifest for ${reference} not found`);
    return { digest, platforms: [{ architecture: 'amd64', os: 'linux' }] };
  }
}

class FakeLifecycle implements SwarmLifecycle {
  readonly calls: unknown[] = [];
  local: LocalSwarmInfo = { state: 'active', nodeId: SELF, nodeAddr: '10.0.0.1', managers: [] };

  async init(request: unknown): Promise<NodeId> {
    this.calls.push(['init', request]);
    return SELF;
  }

  async join(request: unknown): Promise<void> {
    this.calls.push(['join', request]);
  }

  async unlock(key: string): Promise<void> {
    this.calls.push(['unlock', key]);
  }

  async leave(force: boolean): Promise<void> {
    this.calls.push(['leave', force]);
  }

  info(): LocalSwarmInfo {
    return this.local;
  }
}

/** The API of one manager over a store in memory: no sockets, no other nodes unless the test brings them. */
export class ApiLab implements AsyncDisposable {
  readonly opened: TestStore = openTestStore();
  readonly images = new FakeImages();
  readonly lifecycle = new FakeLifecycle();
  readonly control: Control;
  readonly parts: ManagerParts;
  readonly modules: ClusterApiModules;
  readonly router: Router;
  noManager: NoManager | undefined;

  constructor(more: Partial<Pick<ManagerParts, 'dialer' | 'logs' | 'consensus'>> = {}, pinImages = true) {
    const { store, clock, log: consensus } = this.opened;
    const random = seededRandom(7);
    const shared = { store, clock, random, log: nullLog, images: this.images };
    this.control = openControl({ pinImages }, { ...shared, consensus: more.consensus ?? consensus });
    const unused = (): never => {
      throw new Error('no other node in this test');
    };
    this.parts = {
      nodeId: SELF,
      store,
      consensus,
      dialer: { client: unused },
      logs: { read: unused },
      control: this.control,
      ...more,
    };
    this.modules = {
      manager: () => this.noManager ?? this.parts,
      lifecycle: this.lifecycle,
      clock,
      log: nullLog,
    };
    this.router = new Router(leaderRoutes(this.modules));
  }

  /** With a cluster as it is right after `swarm init`. */
  static async open(...args: ConstructorParameters<typeof ApiLab>): Promise<ApiLab> {
    const lab = new ApiLab(...args);
    await lab.write(
      { kind: 'putCluster', cluster: await row },
      ...freshNetworks(seededRandom(3)),
      node(SELF, { role: 'manager' }),
    );
    return lab;
  }

  get view(): StoreView {
    return this.opened.store.view();
  }

  async write(...changes: Change[]): Promise<void> {
    await this.opened.store.update({ changes });
  }

  async call(
    method: string,
    target: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const bytes = Buffer.from(body === undefined ? '' : JSON.stringify(body));
    const head = { 'content-type': 'application/json', 'content-length': String(bytes.length), ...headers };
    const call = { method, target, headers: head, body: bytes };
    const { status, body: text } = await callApi(this.router, call, new AbortController().signal);
    return { status, body: text.length === 0 ? undefined : parsed(text.toString()) };
  }

  get(target: string): Promise<Answer> {
    return this.call('GET', target);
  }

  /** Makes a service; its id. */
  async create(spec: object): Promise<string> {
    const { status, body } = await this.call('POST', '/services/create', spec);
    if (status !== 201) throw new Error(`create: ${status} ${JSON.stringify(body)}`);
    return (body as { ID: string }).ID;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.opened[Symbol.asyncDispose]();
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A node that is ready, unless told otherwise. */
export function node(
  id: string,
  more: Partial<Pick<Node, 'role' | 'status'>> & {
    readonly hostname?: string;
    readonly labels?: Record<string, string>;
  } = {},
): Change {
  const { role = 'worker', status = { state: 'ready', addr: '10.0.0.9' }, hostname = id, labels } = more;
  const engine = {
    version: '28.3.3',
    labels: { engine: 'yes' },
    plugins: [{ type: 'Network', name: 'overlay' }],
  };
  return {
    kind: 'putNode',
    node: {
      id: id as NodeId,
      spec: { role, availability: 'active', ...(labels && { labels }) },
      role,
      status,
      description: { ...descriptionOf(id), hostname, engine },
    },
  };
}

/** The least that is a service. */
export function web(more: object = {}): object {
  return { Name: 'web', TaskTemplate: { ContainerSpec: { Image: 'nginx:1' } }, ...more };
}

/** Members of a Raft group as one of them sees it. */
export function membersOf(
  ...nodes: readonly { readonly id: string; readonly reachable?: boolean }[]
): Pick<Consensus, 'members' | 'status'> {
  const members = nodes.map(({ id, reachable = true }, at) => ({
    member: {
      raftId: at + 1,
      nodeId: id as NodeId,
      raftAddr: `${id}:1`,
      controlAddr: `${id}:2377`,
      learner: false,
    },
    reachable,
  }));
  const [first] = members;
  return {
    members: () => members.map(({ member }) => member),
    status: async () => ({
      self: (first as (typeof members)[number]).member,
      term: 1,
      commitIndex: 1,
      appliedIndex: 1,
      snapshotIndex: 0,
      members,
    }),
  };
}
