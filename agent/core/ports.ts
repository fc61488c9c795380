import { ShoalError } from '#proto/base/errors.ts';
import type { PortBinding } from '../net/node-network.ts';
import type { ContainerConfig, HostConfig } from './container-types.ts';

const PORT_MAX = 65_535;

/** The ports that a container publishes. INVALID_ARGUMENT with Docker's words. */
export function publishedPorts(
  config: Pick<ContainerConfig, 'ExposedPorts'>,
  hostConfig: Pick<HostConfig, 'PortBindings' | 'PublishAllPorts'>,
): PortBinding[] {
  const bindings = Object.entries(hostConfig.PortBindings ?? {});
  const published = bindings.flatMap(([key, list]) => {
    const port = parsePort(key);
    return (list ?? []).map(({ HostIp = '', HostPort = '' }) => ({
      ...port,
      hostIp: HostIp,
      ...hostPorts(HostPort),
    }));
  });
  if (!hostConfig.PublishAllPorts) return published;
  const bound = new Set(bindings.filter(([, list]) => (list ?? []).length > 0).map(([key]) => key));
  const exposed = Object.keys(config.ExposedPorts ?? {}).filter((key) => !bound.has(key));
  return [...published, ...exposed.map((key) => ({ ...parsePort(key), hostIp: '', hostPort: 0 }))];
}

/** `80/tcp`, `53/udp`, `80`. */
export function parsePort(key: string): Pick<PortBinding, 'protocol' | 'containerPort'> {
  const [number = '', protocol = 'tcp'] = key.split('/');
  const containerPort = Number(number);
  if (!/^\d+$/.test(number) || containerPort < 1 || containerPort > PORT_MAX)
    throw new ShoalError('INVALID_ARGUMENT', `invalid port specification: "${key}"`);
  if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp')
    throw new ShoalError('INVALID_ARGUMENT', `invalid protocol: ${protocol}`);
  return { protocol, containerPort };
}

/** `8080`, `8000-8010` for the first of them that is free, '' for any. */
function hostPorts(text: string): Pick<PortBinding, 'hostPort' | 'hostPortMax'> {
  const match = /^(\d*)(?:-(\d+))?$/.exec(text);
  const hostPort = Number(match?.[1]);
  const hostPortMax = Number(match?.[2] ?? hostPort);
  if (!match || hostPort > hostPortMax || hostPortMax > PORT_MAX || (match[2] && hostPort === 0))
    throw new ShoalError('INVALID_ARGUMENT', `invalid host port: ${text}`);
  return hostPort === hostPortMax ? { hostPort } : { hostPort, hostPortMax };
}
