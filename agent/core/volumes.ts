import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { Random } from '#proto/base/random.ts';
import type { EventBus } from './events.ts';
import { folderBytes } from './linux/folder.ts';
import { unmountIfMounted } from './linux/mounts.ts';
import { mountVolume } from './linux/volume-mount.ts';
import { randomId } from './names.ts';
import { timestamp } from './record.ts';
import type { JsonTable } from './state.ts';

/** A volume of the `local` driver. */
export interface VolumeRecord {
  readonly name: string;
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>> | null;
  /** type, device and o, as of mount(8); null: a plain folder. */
  readonly options: Readonly<Record<string, string>> | null;
}

export interface VolumeRequest {
  /** Absent: a random one, and the volume is anonymous. */
  readonly name?: string;
  readonly driver?: string;
  readonly labels?: Readonly<Record<string, string>> | null;
  readonly options?: Readonly<Record<string, string>> | null;
}

/** Of the driver `local`. */
const OPTIONS = ['type', 'device', 'o', 'size'];
const ANONYMOUS = 'com.docker.volume.anonymous';
/** Before the name of a volume's folder while it is being removed; no volume's name begins so. */
const REMOVED = '.removed-';

interface Modules {
  readonly table: JsonTable<unknown>;
  readonly events: EventBus;
  readonly clock: Clock;
  readonly random: Random;
  /** Ids of the containers that name the volume. */
  readonly usedBy: (name: string) => readonly string[];
}

/** Folders of data that outlive containers. */
export class LocalVolumes {
  readonly #folder: string;
  readonly #modules: Modules;
  readonly #byName = new Map<string, VolumeRecord>();
  /** Who uses a volume that has to be mounted first. */
  readonly #mountedFor = new Map<string, Set<string>>();

  constructor(opts: { folder: string }, modules: Modules) {
    this.#folder = opts.folder;
    this.#modules = modules;
    for (const record of modules.table.all() as VolumeRecord[]) this.#byName.set(record.name, record);
    this.#finishRemovals();
  }

  list(): VolumeRecord[] {
    return [...this.#byName.values()].sort((a, b) => a.name.localeCompare(b.name));
  }

  /** NOT_FOUND `get X: no such volume`. */
  find(name: string): VolumeRecord {
    const record = this.#byName.get(name);
    if (record === undefined) throw new ShoalError('NOT_FOUND', `get ${name}: no such volume`);
    return record;
  }

  /** Where its data is. */
  path(name: string): string {
    return join(this.#folder, name, '_data');
  }

  isAnonymous({ labels }: VolumeRecord): boolean {
    return labels !== null && ANONYMOUS in labels;
  }

  users(name: string): readonly string[] {
    return this.#modules.usedBy(name);
  }

  /** The volume of that name, made when there is none. */
  create(request: VolumeRequest): VolumeRecord {
    const driver = request.driver || 'local';
    if (driver !== 'local')
      throw new ShoalError(
        'NOT_FOUND',
        `create ${request.name}: error looking up volume plugin ${driver}: plugin "${driver}" not found`,
      );
    const odd = Object.keys(request.options ?? {}).find((option) => !OPTIONS.includes(option));
    if (request.options?.['size'])
      throw new ShoalError(
        'INVALID_ARGUMENT',
        `create ${request.name}: quota size requested but no quota support`,
      );
    if (odd !== undefined)
      throw new ShoalError('INVALID_ARGUMENT', `create ${request.name}: invalid option: "${odd}"`);
    const existing = request.name ? this.#byName.get(request.name) : undefined;
    if (existing) return existing;
    const record = this.#recordOf(request);
    this.#make(record);
    this.#byName.set(record.name, record);
    this.#emit('create', record.name);
    return record;
  }

  /** Its note comes first: a crash in between leaves no folder that nobody knows, and `use` makes the folder. */
  #make(record: VolumeRecord): void {
    this.#modules.table.put(record.name, record);
    try {
      mkdirSync(this.path(record.name), { recursive: true });
    } catch (error) {
      this.#modules.table.delete(record.name);
      throw error;
    }
  }

  #recordOf({ name, labels, options }: VolumeRequest): VolumeRecord {
    const named = name !== undefined && name !== '';
    return {
      name: named ? checkedName(name) : randomId(this.#modules.random),
      createdAt: timestamp(this.#modules.clock.wallMs()),
      labels: named ? (labels ?? null) : { ...labels, [ANONYMOUS]: '' },
      options: options && Object.keys(options).length > 0 ? options : null,
    };
  }

  /** CONFLICT while a container names it. */
  remove(name: string, force = false): void {
    if (force && !this.#byName.has(name)) return;
    this.find(name);
    const users = this.users(name);
    if (users.length > 0)
      throw new ShoalError('CONFLICT', `remove ${name}: volume is in use - [${users.join(', ')}]`);
    const [folder, aside] = [join(this.#folder, name), join(this.#folder, `${REMOVED}${name}`)];
    if (existsSync(folder)) renameSync(folder, aside);
    this.#modules.table.delete(name);
    this.#byName.delete(name);
    rmSync(aside, { recursive: true, force: true });
    this.#emit('destroy', name);
  }

  /** A crash may have come in the middle of a removal: what still has its note comes back, whole; the rest goes. */
  #finishRemovals(): void {
    if (!existsSync(this.#folder)) return;
    for (const entry of readdirSync(this.#folder).filter((one) => one.startsWith(REMOVED))) {
      const [aside, name] = [join(this.#folder, entry), entry.slice(REMOVED.length)];
      if (this.#byName.has(name) && !existsSync(join(this.#folder, name)))
        renameSync(aside, join(this.#folder, name));
      else rmSync(aside, { recursive: true, force: true });
    }
  }

  /** Removes those that no container names; says what was freed. */
  async prune(chosen: (record: VolumeRecord) => boolean): Promise<{ names: string[]; bytes: number }> {
    const names: string[] = [];
    let bytes = 0;
    for (const record of this.list()) {
      if (this.users(record.name).length > 0 || !chosen(record)) continue;
      bytes += await this.bytes(record.name);
      this.remove(record.name);
      names.push(record.name);
    }
    this.#modules.events.emit('volume', 'prune', '', { reclaimed: String(bytes) });
    return { names, bytes };
  }

  bytes(name: string): Promise<number> {
    return folderBytes(this.path(name));
  }

  /** Makes the data reachable for a container; `release` must follow. */
  use(name: string, containerId: string): void {
    const record = this.find(name);
    const path = this.path(name);
    if (!existsSync(path)) mkdirSync(path, { recursive: true });
    if (record.options === null) return;
    const users = this.#mountedFor.get(name) ?? new Set();
    if (users.size === 0) mountVolume(name, record.options, path);
    this.#mountedFor.set(name, users.add(containerId));
  }

  release(name: string, containerId: string): void {
    const users = this.#mountedFor.get(name);
    if (!users?.delete(containerId) || users.size > 0) return;
    this.#mountedFor.delete(name);
    unmountIfMounted(this.path(name));
  }

  /** After a restart of the engine: the containers that run had it mounted before. */
  adopt(name: string, containerId: string): void {
    const record = this.#byName.get(name);
    if (record?.options)
      this.#mountedFor.set(name, (this.#mountedFor.get(name) ?? new Set()).add(containerId));
  }

  #emit(action: string, name: string): void {
    this.#modules.events.emit('volume', action, name, { driver: 'local' });
  }
}

function checkedName(name: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) return name;
  throw new ShoalError(
    'INVALID_ARGUMENT',
    `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
  );
}
