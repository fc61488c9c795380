import { existsSync, mkdirSync } from 'node:fs';
import { codeOf, messageOf, ShoalError } from '#proto/base/errors.ts';
import type { ContainerConfig, HostConfig, MountConfig } from './container-types.ts';
import { normal } from './oci/mounts.ts';
import type { MountPoint } from './record.ts';

/** What Docker can mount besides. */
const OTHER_TYPES = ['cluster', 'image', 'npipe'];
const PROPAGATIONS = ['private', 'rprivate', 'slave', 'rslave', 'shared', 'rshared'];
/** Words that say something to other systems, or nothing at all on Linux. */
const WITHOUT_MEANING = ['z', 'Z', 'cached', 'delegated', 'consistent', 'default', 'nocopy', 'U'];

interface Modules {
  /** The volume of that name, or a new one. */
  readonly volume: (
    name: string | undefined,
    opts: {
      driver?: string;
      labels?: Readonly<Record<string, string>>;
      options?: Readonly<Record<string, string>>;
    },
  ) => { name: string; path: string };
  /** What another container has mounted. */
  readonly mountsOf: (idOrName: string) => readonly MountPoint[];
}

/** A mount point, and whether what the image has there is to be copied into it. */
export interface PlannedMount {
  readonly mount: MountPoint;
  readonly copyUp: boolean;
}

type HostPart = Pick<HostConfig, 'Binds' | 'Mounts' | 'Tmpfs' | 'VolumesFrom' | 'VolumeDriver'>;

/**
 * Everything that is to be mounted into a container: what the user names, what other containers have, what the image
 * wants volumes for. Volumes are made here. INVALID_ARGUMENT with Docker's words.
 */
export function planMounts(
  config: Pick<ContainerConfig, 'Volumes'>,
  hostConfig: HostPart,
  modules: Modules,
): PlannedMount[] {
  const byPlace = new Map<string, PlannedMount>();
  for (const mount of fromOthers(hostConfig.VolumesFrom ?? [], modules))
    byPlace.set(mount.destination, { mount, copyUp: false });
  const named = new Set<string>();
  const add = (planned: PlannedMount): void => {
    const { destination } = planned.mount;
    if (named.has(destination))
      throw new ShoalError('INVALID_ARGUMENT', `Duplicate mount point: ${destination}`);
    named.add(destination);
    byPlace.set(destination, planned);
  };
  for (const bind of hostConfig.Binds ?? [])
    add(
      /^\/[^:]*$/.test(bind)
        ? anonymous(checkedPlace(bind), hostConfig.VolumeDriver, modules)
        : fromBind(bind, hostConfig.VolumeDriver, modules),
    );
  for (const mount of hostConfig.Mounts ?? []) add(fromMount(mount, modules));
  for (const [place, options] of Object.entries(hostConfig.Tmpfs ?? {}))
    add({ mount: tmpfs(checkedPlace(place), options.split(',').filter(Boolean)), copyUp: false });
  for (const place of Object.keys(config.Volumes ?? {})) {
    const destination = checkedPlace(place);
    if (!byPlace.has(destination))
      byPlace.set(destination, anonymous(destination, hostConfig.VolumeDriver, modules));
  }
  return [...byPlace.values()];
}

function anonymous(destination: string, driver: string | undefined, modules: Modules): PlannedMount {
  const volume = modules.volume(undefined, driver ? { driver } : {});
  const mount = volumeMount({ ...volume, destination, mode: '', rw: true, anonymous: true });
  return { mount, copyUp: true };
}

/** `source:destination[:mode]`; a source with a slash in front is a path of the machine, else a volume's name. */
function fromBind(bind: string, driver: string | undefined, modules: Modules): PlannedMount {
  const parts = bind.split(':');
  const [source = '', place = '', mode = ''] = parts;
  if (parts.length < 2 || parts.length > 3 || source === '' || place === '')
    throw new ShoalError('INVALID_ARGUMENT', `invalid volume specification: '${bind}'`);
  const destination = checkedPlace(place);
  const { rw, propagation, noCopy } = parseMode(mode);
  if (!source.startsWith('/')) {
    const volume = modules.volume(source, driver ? { driver } : {});
    return { mount: volumeMount({ ...volume, destination, mode: mode || 'z', rw }), copyUp: !noCopy };
  }
  if (!existsSync(source)) mkdirSync(source, { recursive: true });
  return {
    mount: {
      type: 'bind',
      source: normal(source),
      destination,
      mode,
      rw,
      propagation: propagation ?? 'rprivate',
    },
    copyUp: false,
  };
}

function parseMode(mode: string): { rw: boolean; propagation?: string; noCopy: boolean } {
  const words = mode === '' ? [] : mode.split(',');
  for (const word of words) {
    const known = ['ro', 'rw', 'rbind', 'bind', ...PROPAGATIONS, ...WITHOUT_MEANING];
    if (!known.includes(word)) throw new ShoalError('INVALID_ARGUMENT', `invalid mode: ${mode}`);
  }
  const propagation = words.find((word) => PROPAGATIONS.includes(word));
  return {
    rw: !words.includes('ro'),
    noCopy: words.includes('nocopy'),
    ...(propagation ? { propagation } : {}),
  };
}

/** What is said of one kind of mount alone. */
const OPTIONS_OF: Readonly<Record<string, keyof MountConfig>> = {
  bind: 'BindOptions',
  volume: 'VolumeOptions',
  tmpfs: 'TmpfsOptions',
};

function checkMount(mount: MountConfig): void {
  const fail = (what: string): ShoalError =>
    new ShoalError('INVALID_ARGUMENT', `invalid mount config for type "${mount.Type}": ${what}`);
  if (!mount.Target) throw fail('field Target must not be empty');
  if (mount.Type === 'tmpfs' && mount.Source) throw fail('field Source must not be specified');
  for (const [type, field] of Object.entries(OPTIONS_OF))
    if (type !== mount.Type && mount[field]) throw fail(`field ${field} must not be specified`);
}

function fromMount(mount: MountConfig, modules: Modules): PlannedMount {
  checkMount(mount);
  const destination = checkedPlace(mount.Target);
  const rw = !(mount.ReadOnly ?? false);
  switch (mount.Type) {
    case 'bind':
      return { mount: bindOf(mount, destination, rw), copyUp: false };
    case 'volume': {
      const { NoCopy, Labels, Subpath, DriverConfig } = mount.VolumeOptions ?? {};
      const volume = modules.volume(mount.Source || undefined, {
        ...(DriverConfig?.Name ? { driver: DriverConfig.Name } : {}),
        ...(Labels ? { labels: Labels } : {}),
        ...(DriverConfig?.Options ? { options: DriverConfig.Options } : {}),
      });
      const path = Subpath ? `${volume.path}/${checkedSubpath(Subpath)}` : volume.path;
      const point = { name: volume.name, path, destination, mode: 'z', rw, anonymous: !mount.Source };
      return { mount: volumeMount(point), copyUp: !NoCopy && !Subpath };
    }
    case 'tmpfs':
      return { mount: tmpfs(destination, tmpfsOptions(mount, rw), rw), copyUp: false };
    default:
      if (!OTHER_TYPES.includes(mount.Type))
        throw new ShoalError(
          'INVALID_ARGUMENT',
          `invalid mount config for type "${mount.Type}": mount type unknown`,
        );
      throw new ShoalError(
        'NOT_IMPLEMENTED',
        `mount type ${mount.Type} is not supported: use bind, volume or tmpfs`,
      );
  }
}

function bindOf(mount: MountConfig, destination: string, rw: boolean): MountPoint {
  const source = mount.Source ?? '';
  if (!source.startsWith('/'))
    throw invalidBind(`invalid mount path: '${source}' mount path must be absolute`);
  if (!existsSync(source)) {
    if (!mount.BindOptions?.CreateMountpoint) throw invalidBind(`bind source path does not exist: ${source}`);
    mkdirSync(source, { recursive: true });
  }
  return {
    type: 'bind',
    source: normal(source),
    destination,
    mode: '',
    rw,
    propagation: mount.BindOptions?.Propagation || 'rprivate',
    ...(mount.BindOptions?.NonRecursive ? { nonRecursive: true } : {}),
  };
}

function invalidBind(reason: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', `invalid mount config for type "bind": ${reason}`);
}

/** Stays below the volume: no part of it leads upwards. */
function checkedSubpath(path: string): string {
  if (!path.startsWith('/') && !path.split('/').includes('..')) return path;
  throw new ShoalError(
    'INVALID_ARGUMENT',
    `invalid volume subpath ${path}: must be relative and below the volume`,
  );
}

function tmpfsOptions({ TmpfsOptions: options }: MountConfig, rw: boolean): string[] {
  return [
    ...(rw ? [] : ['ro']),
    ...(options?.SizeBytes ? [`size=${options.SizeBytes}`] : []),
    ...(options?.Mode ? [`mode=${options.Mode.toString(8)}`] : []),
  ];
}

function tmpfs(destination: string, options: readonly string[], rw = !options.includes('ro')): MountPoint {
  return { type: 'tmpfs', source: '', destination, mode: '', rw, propagation: '', options };
}

function volumeMount(opts: {
  name: string;
  path: string;
  destination: string;
  mode: string;
  rw: boolean;
  anonymous?: boolean;
}): MountPoint {
  const { name, path, destination, mode, rw, anonymous } = opts;
  return {
    type: 'volume',
    name,
    driver: 'local',
    source: path,
    destination,
    mode,
    rw,
    propagation: '',
    ...(anonymous ? { anonymous } : {}),
  };
}

function fromOthers(names: readonly string[], modules: Modules): MountPoint[] {
  return names.flatMap((entry) => {
    const [name = '', mode = ''] = entry.split(':');
    const { rw } = parseMode(mode);
    return mountsOf(name, modules)
      .filter(({ type }) => type !== 'tmpfs')
      .map(({ anonymous: _own, ...mount }) => ({ ...mount, rw: mount.rw && rw }));
  });
}

/** NOT_FOUND would tell clients that the image is missing. */
function mountsOf(name: string, modules: Modules): readonly MountPoint[] {
  try {
    return modules.mountsOf(name);
  } catch (error) {
    if (codeOf(error) !== 'NOT_FOUND') throw error;
    throw new ShoalError('INVALID_ARGUMENT', messageOf(error), { cause: error });
  }
}

function checkedPlace(path: string): string {
  if (!path.startsWith('/'))
    throw new ShoalError('INVALID_ARGUMENT', `invalid mount path: '${path}' mount path must be absolute`);
  const place = normal(path);
  if (place === '/')
    throw new ShoalError('INVALID_ARGUMENT', "invalid volume specification: destination can't be '/'");
  return place;
}
