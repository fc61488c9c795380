import { X509Certificate } from 'node:crypto';
import { createSecureContext, type PeerCertificate } from 'node:tls';
import { ChannelCredentials, experimental } from '@grpc/grpc-js';
import { messageOf, ShoalError } from '../base/errors.ts';
import type { ClusterId, NodeId } from '../types/ids.ts';
import type { NodeRole } from '../types/states.ts';
import type { IdentitySource, PeerIdentity, TlsIdentity } from './types.ts';

/** Roles as certificates name them (OU, and a DNS name among the alternative ones): Swarm's own words. */
const ROLE_NAMES = { manager: 'swarm-manager', worker: 'swarm-worker' } as const;

/** What a connection is dialled as where no one role is expected; nothing checks it but the log of a proxy. */
const ANY_NAME = 'swarm-node';

/** The name of a role in a certificate. */
export function roleName(role: NodeRole): string {
  return ROLE_NAMES[role];
}

/** Who a PEM certificate says it belongs to; INVALID_ARGUMENT when it is no certificate of a node. */
export function identityOf(certificate: string): PeerIdentity {
  try {
    return peerOf(new X509Certificate(certificate).toLegacyObject());
  } catch (error) {
    throw new ShoalError('INVALID_ARGUMENT', `not a node certificate: ${messageOf(error)}`, { cause: error });
  }
}

/** Who a verified peer is. Subject and alternative names must agree, or it is nobody. */
export function peerOf(certificate: PeerCertificate): PeerIdentity {
  const { CN: nodeId, OU: unit, O: clusterId } = certificate.subject as Partial<Record<string, unknown>>;
  const role = (Object.keys(ROLE_NAMES) as NodeRole[]).find((name) => ROLE_NAMES[name] === unit);
  if (typeof nodeId !== 'string' || typeof clusterId !== 'string' || role === undefined) {
    throw new ShoalError('UNAUTHENTICATED', 'the certificate names no node, role and swarm');
  }
  const names = (certificate.subjectaltname ?? '').split(', ');
  if (!names.includes(`DNS:${nodeId}`) || !names.includes(`DNS:${ROLE_NAMES[role]}`)) {
    throw new ShoalError(
      'UNAUTHENTICATED',
      "the certificate's alternative names are not those of its subject",
    );
  }
  return { nodeId: nodeId as NodeId, role, clusterId: clusterId as ClusterId };
}

/** Credentials of a server that follow the identity: a client certificate is asked for, and checked if given. */
export function serverCredentials(
  identity: IdentitySource,
): ReturnType<typeof experimental.createCertificateProviderServerCredentials> {
  const provider = new IdentityProvider(identity);
  return experimental.createCertificateProviderServerCredentials(provider, provider, false);
}

/** Credentials of one channel. Without `identity` neither end shows or checks anything: the joining node's first call. */
export function channelCredentials(
  identity: TlsIdentity | undefined,
  expect: NodeRole | 'node',
): ChannelCredentials {
  if (identity === undefined) {
    return ChannelCredentials.createFromSecureContext(createSecureContext({ minVersion: 'TLSv1.3' }), {
      rejectUnauthorized: false,
    });
  }
  const { certificate, key, roots } = identity;
  const own = certificate === '' ? undefined : identityOf(certificate);
  const context = createSecureContext({
    minVersion: 'TLSv1.3',
    ca: roots,
    ...(own === undefined ? {} : { cert: certificate, key }),
  });
  return ChannelCredentials.createFromSecureContext(context, {
    checkServerIdentity: (_name, shown) => whyNot(shown, expect, own?.clusterId),
  });
}

/** The server name a channel asks for: the role that is expected there. */
export function serverName(expect: NodeRole | 'node' | 'anyone'): string {
  return expect === 'manager' || expect === 'worker' ? ROLE_NAMES[expect] : ANY_NAME;
}

/** The chain was verified; what is left is whether it is the right kind of node, of the right cluster. */
export function whyNot(
  shown: PeerCertificate,
  expect: NodeRole | 'node',
  clusterId: ClusterId | undefined,
): Error | undefined {
  try {
    const peer = peerOf(shown);
    if (expect !== 'node' && peer.role !== expect) {
      return new ShoalError('FORBIDDEN', `expected a ${expect}, found node ${peer.nodeId}, a ${peer.role}`);
    }
    if (clusterId !== undefined && peer.clusterId !== clusterId) {
      return new ShoalError('FORBIDDEN', `node ${peer.nodeId} is of another swarm, ${peer.clusterId}`);
    }
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

type CaListener = Parameters<experimental.CertificateProvider['addCaCertificateListener']>[0];
type OwnListener = Parameters<experimental.CertificateProvider['addIdentityCertificateListener']>[0];

/** Hands an identity to the gRPC library. Listeners are called back later, never while they are being added. */
class IdentityProvider implements experimental.CertificateProvider {
  readonly #identity: IdentitySource;
  readonly #ca = new Set<CaListener>();
  readonly #own = new Set<OwnListener>();
  #unfollow: (() => void) | undefined;

  constructor(identity: IdentitySource) {
    this.#identity = identity;
  }

  addCaCertificateListener(listener: CaListener): void {
    this.#add(this.#ca, listener);
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#remove(this.#ca, listener);
  }

  addIdentityCertificateListener(listener: OwnListener): void {
    this.#add(this.#own, listener);
  }

  removeIdentityCertificateListener(listener: OwnListener): void {
    this.#remove(this.#own, listener);
  }

  #add<Listener>(listeners: Set<Listener>, listener: Listener): void {
    listeners.add(listener);
    this.#unfollow ??= this.#identity.onChange(() => this.#tell());
    queueMicrotask(() => this.#tell());
  }

  #remove<Listener>(listeners: Set<Listener>, listener: Listener): void {
    listeners.delete(listener);
    if (this.#ca.size + this.#own.size > 0) return;
    this.#unfollow?.();
    this.#unfollow = undefined;
  }

  #tell(): void {
    const { certificate, key, roots } = this.#identity.current();
    for (const listener of this.#ca) listener({ caCertificate: Buffer.from(roots) });
    for (const listener of this.#own) {
      listener({ certificate: Buffer.from(certificate), privateKey: Buffer.from(key) });
    }
  }
}
