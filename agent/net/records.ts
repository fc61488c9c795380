import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NetworkState } from '#proto/types/assignments.ts';
import type { LocalNetwork } from './node-network.ts';
import type { SandboxRecord } from './plan/sandbox-record.ts';

/** Everything that was wanted when the daemon ended. */
export interface Recorded {
  readonly cluster?: NetworkState;
  /** Where the node's VXLAN packets came from. */
  readonly dataPathAddr?: string;
  readonly locals: readonly LocalNetwork[];
  readonly sandboxes: readonly SandboxRecord[];
}

const CLUSTER = 'cluster.json';
const LOCALS = 'locals.json';
const SANDBOXES = 'sandboxes';

/**
 * The wanted state in a directory that lives as long as the kernel's state does: until the machine restarts. With it
 * a new daemon re-plans what the old one had, names included, before any manager has spoken to it.
 */
export class Records {
  readonly #directory: string;
  /** States share most of their objects, so their texts are shared too. */
  readonly #texts = new WeakMap<object, string>();

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(join(directory, SANDBOXES), { recursive: true, mode: 0o700 });
  }

  read(): Recorded {
    const cluster = readJson<ClusterJson>(join(this.#directory, CLUSTER));
    const sandboxes = join(this.#directory, SANDBOXES);
    const files = readdirSync(sandboxes).filter((file) => file.endsWith('.json'));
    return {
      ...(cluster === undefined ? {} : { cluster: fromJson(cluster) }),
      ...(cluster?.dataPathAddr ? { dataPathAddr: cluster.dataPathAddr } : {}),
      locals: readJson<LocalNetwork[]>(join(this.#directory, LOCALS)) ?? [],
      sandboxes: files.flatMap((file) => readJson<SandboxRecord>(join(sandboxes, file)) ?? []),
    };
  }

  async saveCluster(state: NetworkState | undefined, dataPathAddr: string | undefined): Promise<void> {
    const file = join(this.#directory, CLUSTER);
    if (state === undefined) return rmSync(file, { force: true });
    await writeFile(`${file}.new`, this.#clusterText(state, dataPathAddr), { mode: 0o600 });
    await rename(`${file}.new`, file);
  }

  saveLocals(locals: readonly LocalNetwork[]): void {
    this.#write(LOCALS, JSON.stringify(locals));
  }

  saveSandbox(record: SandboxRecord): void {
    this.#write(this.#sandboxFile(record.containerId), JSON.stringify(record));
  }

  removeSandbox(containerId: string): void {
    rmSync(join(this.#directory, this.#sandboxFile(containerId)), { force: true });
  }

  #sandboxFile(containerId: string): string {
    return join(SANDBOXES, `${containerId}.json`);
  }

  #write(name: string, text: string): void {
    const file = join(this.#directory, name);
    writeFileSync(`${file}.new`, text, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  #clusterText(state: NetworkState, dataPathAddr = ''): string {
    const list = (objects: Iterable<object>): string =>
      `[${Array.from(objects, (object) => this.#textOf(object)).join()}]`;
    return (
      `{"version":${state.version},"dataPathAddr":${JSON.stringify(dataPathAddr)},"self":${JSON.stringify(state.self)},` +
      `"peers":${list(state.peers.values())},"networks":${list(state.networks.values())},` +
      `"services":${list(state.services.values())},"endpoints":${list(state.endpoints.values())}}`
    );
  }

  #textOf(object: object): string {
    const text = this.#texts.get(object) ?? JSON.stringify(object);
    this.#texts.set(object, text);
    return text;
  }
}

type Listed<M> = M extends ReadonlyMap<string, infer V> ? readonly V[] : M;
type ClusterJson = { readonly [K in keyof NetworkState]: Listed<NetworkState[K]> } & {
  readonly dataPathAddr?: string;
};

function fromJson(json: ClusterJson): NetworkState {
  return {
    version: json.version,
    self: json.self,
    peers: new Map(json.peers.map((peer) => [peer.nodeId, peer])),
    networks: new Map(json.networks.map((network) => [network.id, network])),
    services: new Map(json.services.map((service) => [service.id, service])),
    endpoints: new Map(json.endpoints.map((endpoint) => [endpoint.taskId, endpoint])),
  };
}

/** Undefined when it is not there, or was only half written. */
function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
}
