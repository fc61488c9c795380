import { BlockList, isIP } from 'node:net';
import { ShoalError } from '#proto/base/errors.ts';
import { DEFAULT_DOMAIN } from '../image/reference.ts';

export interface RegistryOpts {
  /** `--registry-mirror`: asked before the default registry, for pulls from it. */
  readonly mirrors?: readonly string[];
  /** `--insecure-registry`: hosts, with port or without, and networks. 127.0.0.0/8 and ::1 always are. */
  readonly insecure?: readonly string[];
}

export interface Endpoint {
  readonly url: URL;
  /** Certificates are not checked. */
  readonly insecure: boolean;
  /** Anything that goes wrong is no reason to stop: the next is asked. */
  readonly mirror: boolean;
}

/** Where the default registry is, and how it wants to be called when somebody logs in. */
const DEFAULT_ENDPOINT = 'https://registry-1.docker.io';

/** Where to ask for the images of a domain, in order. */
export function endpointsOf(domain: string, opts: RegistryOpts, use: 'pull' | 'push'): Endpoint[] {
  if (domain === DEFAULT_DOMAIN) {
    const mirrors = use === 'pull' ? (opts.mirrors ?? []) : [];
    const main = { url: new URL(DEFAULT_ENDPOINT), insecure: false, mirror: false };
    return [...mirrors.map((mirror) => mirrorOf(mirror, opts)), main];
  }
  const insecure = isInsecure(domain, opts);
  const tls = { url: new URL(`https://${domain}`), insecure, mirror: false };
  if (!insecure) return [tls];
  return [tls, { url: new URL(`http://${domain}`), insecure, mirror: false }];
}

function mirrorOf(text: string, opts: RegistryOpts): Endpoint {
  const url = URL.parse(text);
  if (!url || !['http:', 'https:'].includes(url.protocol)) {
    throw new ShoalError(
      'INVALID_ARGUMENT',
      `invalid mirror: "${text}" is not a valid URI: expected http(s)://HOST`,
    );
  }
  return { url, insecure: isInsecure(url.host, opts), mirror: true };
}

/** Whether plain HTTP and unchecked certificates are good enough for this `host[:port]`. */
export function isInsecure(host: string, opts: RegistryOpts): boolean {
  const name = host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  const listed = opts.insecure ?? [];
  if (name === 'localhost' || listed.includes(host) || listed.includes(name)) return true;
  const version = isIP(name);
  return version !== 0 && blockList(listed).check(name, version === 4 ? 'ipv4' : 'ipv6');
}

function blockList(listed: readonly string[]): BlockList {
  const list = new BlockList();
  list.addSubnet('127.0.0.0', 8, 'ipv4');
  list.addAddress('::1', 'ipv6');
  for (const item of listed) {
    const [network = '', prefix] = item.split('/');
    const version = isIP(network);
    if (version === 0 || prefix === undefined) continue;
    list.addSubnet(network, Number(prefix), version === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}
