import { createHash, createPublicKey, type KeyObject, webcrypto } from 'node:crypto';
import { messageOf, ShoalError } from '#proto/base/errors.ts';
import { base36 } from '#proto/rpc/join-token.ts';
import { roleName } from '#proto/rpc/tls.ts';
import type { PeerIdentity } from '#proto/rpc/types.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { RootCa } from '#proto/types/objects.ts';
import { BACKDATED_MS, HOUR_MS, type IssuerModules, serialNumber, signingKey, verifyingKey } from './root.ts';
import { loadX509, SIGNATURE_ALGORITHM } from './x509.ts';

/** Swarm's own: shorter lives would renew all the time. */
const LIFETIME_MS_MIN = HOUR_MS;
const REQUEST_CHARS_MAX = 8_192;
const ID_CHARS = 25;

export interface Issued {
  /** PEM. */
  readonly certificate: string;
  readonly expiresAtMs: number;
}

/** What a certificate is issued for. */
export interface Subject extends PeerIdentity {
  readonly lifetimeMs: number;
}

/**
 * The public key of a signing request (PEM), the only thing that is taken from one. The requester must hold the
 * private half, and the key must be ECDSA P-256; INVALID_ARGUMENT otherwise.
 */
export async function requestedKey(request: string): Promise<KeyObject> {
  try {
    if (request.length > REQUEST_CHARS_MAX) throw new Error(`longer than ${REQUEST_CHARS_MAX} characters`);
    const x509 = await loadX509();
    const parsed = new x509.Pkcs10CertificateRequest(request);
    const key = createPublicKey({ key: Buffer.from(parsed.publicKey.rawData), format: 'der', type: 'spki' });
    if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new Error('the key is not ECDSA P-256');
    if (!(await parsed.verify(webcrypto as Crypto))) throw new Error('its signature does not match its key');
    return key;
  } catch (error) {
    throw new ShoalError('INVALID_ARGUMENT', `CSR could not be used: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * The id of the node that a key belongs to when it joins. Derived, so that a node that asks again because it never
 * heard the answer becomes the same node, not a second one.
 */
export function nodeIdOf(key: KeyObject): NodeId {
  const digest = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest();
  return base36(digest.subarray(0, 16), ID_CHARS) as NodeId;
}

/** A node's certificate: CN = node id, OU = role, O = cluster id, and the first two as alternative names. */
export async function issueCertificate(
  root: RootCa,
  subject: Subject,
  key: KeyObject,
  modules: IssuerModules,
): Promise<Issued> {
  if (root.key === undefined) {
    throw new ShoalError(
      'FAILED_PRECONDITION',
      "the swarm's root key is kept outside: no certificate can be issued",
    );
  }
  const x509 = await loadX509();
  const issuer = new x509.X509Certificate(root.certificate);
  const publicKey = verifyingKey(key);
  const nowMs = modules.clock.wallMs();
  const lifetimeMs = Math.max(subject.lifetimeMs, LIFETIME_MS_MIN);
  const expiresAtMs = Math.min(nowMs + lifetimeMs, issuer.notAfter.getTime());
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(modules.random),
    subject: [{ O: [subject.clusterId] }, { OU: [roleName(subject.role)] }, { CN: [subject.nodeId] }],
    issuer: issuer.subjectName.toJSON(),
    notBefore: new Date(nowMs - BACKDATED_MS),
    notAfter: new Date(expiresAtMs),
    publicKey,
    signingKey: signingKey(root.key),
    signingAlgorithm: SIGNATURE_ALGORITHM,
    extensions: await extensionsFor(x509, subject, publicKey, issuer),
  });
  return { certificate: `${certificate.toString('pem')}\n`, expiresAtMs };
}

type X509 = Awaited<ReturnType<typeof loadX509>>;

async function extensionsFor(
  x509: X509,
  subject: Subject,
  publicKey: CryptoKey,
  issuer: InstanceType<X509['X509Certificate']>,
): Promise<InstanceType<X509['Extension']>[]> {
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
    new x509.SubjectAlternativeNameExtension([
      { type: 'dns', value: roleName(subject.role) },
      { type: 'dns', value: subject.nodeId },
    ]),
    await x509.SubjectKeyIdentifierExtension.create(publicKey),
    await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
  ];
}
