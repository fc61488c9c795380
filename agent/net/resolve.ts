import { Forwarder, type ForwarderModules } from './dns/forward.ts';
import { type Asker, Resolver, type ResolverModules } from './dns/resolver.ts';
import { HostUpstreams } from './dns/upstreams.ts';
import type { Directory } from './plan/directory.ts';
import type { InstanceNames } from './plan/names.ts';
import { RESOLVER } from './plan/sandbox.ts';

const DNS_PORT = 53;
/** Where a resolver answers that can't have port 53; the packet filter leads containers there. */
const OWN_PORT = 10_053;

export interface NodeResolverModules extends ForwarderModules, Pick<ResolverModules, 'log'> {
  readonly directory: () => Directory;
}

/**
 * The resolver of this node, at 127.0.0.11. Port 53 there is for the default instance; another daemon in the same
 * namespace, and one that finds it taken, answers at a port of its own.
 */
export async function openNodeResolver(
  names: InstanceNames,
  modules: NodeResolverModules,
): Promise<Resolver> {
  const host = new HostUpstreams();
  const askerAt = (source: string): Asker | undefined => {
    const directory = modules.directory();
    const sandbox = directory.asker(source);
    if (sandbox === undefined) return undefined;
    return {
      names: {
        addressesOf: (name) => directory.addressesOf(sandbox, name),
        nameOf: (address) => directory.nameOf(sandbox, address),
      },
      upstreams: directory.isInside(sandbox) ? [] : (sandbox.dns ?? host.get()),
    };
  };
  const own = OWN_PORT + (names.insideGroup >> 8);
  // Where the machine's own resolver is at 127.0.0.11 too (in a container of Docker), it must stay reachable.
  const first = names.table === 'shoal' && !host.get().includes(RESOLVER) ? [DNS_PORT] : [];
  const forwarder = new Forwarder({ port: DNS_PORT }, modules);
  const resolver = await Resolver.open(
    { address: RESOLVER, ports: [...first, own, 0, 0] },
    { askerAt, forwarder, log: modules.log },
  );
  if (resolver.port !== DNS_PORT)
    modules.log.info('the resolver of containers answers at a port of its own', { port: resolver.port });
  return resolver;
}
