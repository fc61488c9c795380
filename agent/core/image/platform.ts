import { arch } from 'node:process';
import { ShoalError } from '#proto/base/errors.ts';
import { type Descriptor, type Platform, parseIndex } from './oci.ts';

/** Node's names of processors to those of images (GOARCH). */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  arm64: 'arm64',
  arm: 'arm',
};

/** What this machine runs. */
export const HOST_PLATFORM: Platform = normal({ os: 'linux', architecture: ARCHITECTURES[arch] ?? arch });

/** Parses `os/arch[/variant]`, `arch` or `os`, as `--platform` takes it. INVALID_ARGUMENT for anything else. */
export function parsePlatform(text: string): Platform {
  const parts = text.trim().toLowerCase().split('/');
  if (parts.length > 3 || !parts.every((part) => /^[a-z0-9_.-]+$/.test(part))) {
    throw new ShoalError(
      'INVALID_ARGUMENT',
      `"${text}" is an invalid component of platform: expected os/arch[/variant]`,
    );
  }
  const [first = '', second, variant] = parts;
  if (second === undefined) {
    return first === 'linux' || first === 'windows' || first === 'darwin'
      ? { ...HOST_PLATFORM, os: first }
      : normal({ os: 'linux', architecture: first });
  }
  return normal({ os: first, architecture: second, ...(variant === undefined ? {} : { variant }) });
}

/** One spelling for each: aarch64 is arm64, and the variant that goes without saying is not said. */
export function normal(platform: Platform): Platform {
  const { os } = platform;
  switch (platform.architecture) {
    case 'x86_64':
    case 'x86-64':
      return { os, architecture: 'amd64' };
    case 'aarch64':
      return { os, architecture: 'arm64' };
    case 'i386':
    case 'i686':
      return { os, architecture: '386' };
    case 'arm64':
    case 'amd64':
      if (platform.variant === undefined || platform.variant === 'v8' || platform.variant === 'v1') {
        return { os, architecture: platform.architecture };
      }
      return platform;
    case 'arm':
      return { os, architecture: 'arm', variant: platform.variant ?? 'v7' };
    default:
      return platform;
  }
}

export function samePlatform(a: Platform, b: Platform): boolean {
  const [x, y] = [normal(a), normal(b)];
  return x.os === y.os && x.architecture === y.architecture && (x.variant ?? '') === (y.variant ?? '');
}

export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant } = normal(platform);
  return [os, architecture, ...(variant === undefined || variant === '' ? [] : [variant])].join('/');
}

/**
 * The manifest of an index that this platform runs: its own, else an older variant of it.
 * Undefined when the index has none. Entries without a platform don't count, unless there is nothing else to choose.
 */
export function choosePlatform(manifests: readonly Descriptor[], wanted: Platform): Descriptor | undefined {
  const named = manifests.filter((item) => item.platform !== undefined);
  if (named.length === 0 && manifests.length === 1) return manifests[0];
  const exact = named.find((item) => samePlatform(item.platform as Platform, wanted));
  if (exact) return exact;
  return named
    .filter((item) => olderVariant(item.platform as Platform, wanted))
    .sort((a, b) => (b.platform?.variant ?? '').localeCompare(a.platform?.variant ?? ''))[0];
}

function olderVariant(offered: Platform, wanted: Platform): boolean {
  const [has, needs] = [normal(offered), normal(wanted)];
  if (has.os !== needs.os || has.architecture !== needs.architecture) return false;
  return (has.variant ?? '') <= (needs.variant ?? '');
}

/** What an image config says it runs on. */
export function configPlatform({ architecture, os, variant }: Platform): Platform {
  return normal({ architecture, os, ...(variant !== undefined && variant !== '' && { variant }) });
}

/** What the images of an index run on; attestations, which run on nothing, are left out. */
export function indexPlatforms(index: Uint8Array): Platform[] {
  const platforms = parseIndex(index).manifests.map(({ platform }) => platform);
  return platforms.filter((platform) => platform !== undefined && platform.os !== 'unknown') as Platform[];
}
