import { MS, mount, mountAside, mountWithOptions } from './sys.ts';

/** mount(2) copies at most one page of options. */
const OPTION_BYTES_MAX = 4095;

export interface OverlayLayers {
  /** Top first. Paths hold no colon, comma or backslash. */
  readonly lowers: readonly string[];
  /** Absent: a view that can't be written. */
  readonly writable?: { readonly upper: string; readonly work: string };
}

/** Joins layers at `target`. A view of a single layer is that layer, bound read-only. */
export function mountOverlay(layers: OverlayLayers, target: string): void {
  const [only] = layers.lowers;
  if (layers.writable === undefined && layers.lowers.length === 1)
    return bindReadOnly(only as string, target);
  const data = optionString(layers);
  if (Buffer.byteLength(data) <= OPTION_BYTES_MAX) return mount('overlay', target, 'overlay', 0, data);
  mountWithOptions('overlay', target, optionList(layers));
}

/** The same for a container's own file system, off the event loop: it takes the kernel a while. */
export async function mountOverlayAside(layers: OverlayLayers, target: string): Promise<void> {
  const data = optionString(layers);
  if (Buffer.byteLength(data) <= OPTION_BYTES_MAX) await mountAside('overlay', target, 'overlay', 0, data);
  else mountWithOptions('overlay', target, optionList(layers));
}

/** The same layers, as a user namespace shows them. */
export function mappedLayers(
  { lowers, writable }: OverlayLayers,
  users: { readonly mapped: (path: string) => string },
): OverlayLayers {
  return {
    lowers: lowers.map((lower) => users.mapped(lower)),
    ...(writable && {
      writable: { upper: users.mapped(writable.upper), work: users.mapped(writable.work) },
    }),
  };
}

const FEATURES = [
  ['index', 'off'],
  ['redirect_dir', 'off'],
  ['metacopy', 'off'],
] as const;

function optionString({ lowers, writable }: OverlayLayers): string {
  const parts = [`lowerdir=${lowers.join(':')}`];
  if (writable) parts.push(`upperdir=${writable.upper}`, `workdir=${writable.work}`);
  return [...parts, ...FEATURES.map(([name, value]) => `${name}=${value}`)].join(',');
}

function optionList({ lowers, writable }: OverlayLayers): (readonly [string, string])[] {
  const options: (readonly [string, string])[] = lowers.map((lower) => ['lowerdir+', lower] as const);
  if (writable) options.push(['upperdir', writable.upper], ['workdir', writable.work]);
  return [...options, ...FEATURES];
}

/** Binds a folder or file somewhere else, without right to write. */
export function bindReadOnly(source: string, target: string): void {
  mount(source, target, '', MS.BIND);
  mount('', target, '', MS.BIND | MS.REMOUNT | MS.RDONLY);
}
