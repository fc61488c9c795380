import { availableParallelism, totalmem } from 'node:os';
import type { NodeDescription } from '#proto/types/objects.ts';
import type { GenericResource } from '#proto/types/specs.ts';
import { ENGINE_VERSION } from '#proto/types/version.ts';
import { type HostPort, ownAddresses, textOf } from './addresses.ts';
import type { DaemonOpts } from './flags.ts';

const CPU_NANOS = 1_000_000_000;

/** What services may ask of this node's engine; the drivers it has. */
const PLUGINS = [
  ...['bridge', 'host', 'null', 'overlay'].map((name) => ({ type: 'Network', name })),
  ...['json-file', 'local', 'none'].map((name) => ({ type: 'Log', name })),
  { type: 'Volume', name: 'local' },
];

/** This node as the managers are told: what it is, what it has, where it is reached. */
export function describeNode(
  opts: Pick<DaemonOpts, 'hostname' | 'labels' | 'genericResources'>,
  reached: { readonly peer: HostPort; readonly dataPathAddr: string },
): NodeDescription {
  const labels = labelsOf(opts.labels);
  const generic = opts.genericResources.map(genericOf);
  return {
    hostname: opts.hostname,
    platform: { architecture: process.arch === 'arm64' ? 'aarch64' : 'x86_64', os: 'linux' },
    resources: {
      nanoCpus: availableParallelism() * CPU_NANOS,
      memoryBytes: totalmem(),
      ...(generic.length === 0 ? {} : { generic }),
    },
    engine: {
      version: ENGINE_VERSION,
      ...(opts.labels.length === 0 ? {} : { labels }),
      plugins: PLUGINS,
    },
    peerAddr: textOf(reached.peer),
    dataPathAddr: reached.dataPathAddr,
    addresses: ownAddresses(),
  };
}

function labelsOf(items: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    items.map((item) => {
      const [key = '', ...value] = item.split('=');
      return [key, value.join('=')];
    }),
  );
}

/** `gpu=2` counts, `gpu=UUID1` names. */
function genericOf(item: string): GenericResource {
  const [kind = '', value = ''] = item.split('=', 2);
  return /^\d+$/.test(value) ? { kind, count: Number(value) } : { kind, named: value };
}
