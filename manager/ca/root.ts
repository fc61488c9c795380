import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { Clock } from '#proto/base/clock.ts';
import type { Random } from '#proto/base/random.ts';
import { rootDigest } from '#proto/rpc/join-token.ts';
import type { RootCa } from '#proto/types/objects.ts';
import { KEY_ALGORITHM, loadX509, SIGNATURE_ALGORITHM } from './x509.ts';

export const HOUR_MS = 3_600_000;
const ROOT_LIFETIME_MS = 20 * 365 * 24 * HOUR_MS;
/** Certificates are valid a little before they were made, so that a node whose clock is behind can use them at once. */
export const BACKDATED_MS = HOUR_MS;

export interface IssuerModules {
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly random: Random;
}

/** A new root: ECDSA P-256, self-signed, 20 years. */
export async function createRootCa(modules: IssuerModules): Promise<RootCa> {
  const x509 = await loadX509();
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const pem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
  const publicKey = verifyingKey(createPublicKey(pem));
  const nowMs = modules.clock.wallMs();
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(modules.random),
    subject: [{ CN: ['swarm-ca'] }],
    issuer: [{ CN: ['swarm-ca'] }],
    notBefore: new Date(nowMs - BACKDATED_MS),
    notAfter: new Date(nowMs + ROOT_LIFETIME_MS),
    publicKey,
    signingKey: signingKey(pem),
    signingAlgorithm: SIGNATURE_ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 1, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  const text = `${certificate.toString('pem')}\n`;
  return { certificate: text, key: pem, digest: rootDigest(text) };
}

/** A private key (PEM) in the form that the certificate library signs with. */
export function signingKey(pem: string): CryptoKey {
  return createPrivateKey(pem).toCryptoKey(KEY_ALGORITHM, false, ['sign']) as CryptoKey;
}

/** A public key in the form that the certificate library puts into certificates. */
export function verifyingKey(key: KeyObject): CryptoKey {
  return key.toCryptoKey(KEY_ALGORITHM, true, ['verify']) as CryptoKey;
}

/** 128 random bits in hex: positive, never zero, and the same length for all. */
export function serialNumber(random: Pick<Random, 'bytes'>): string {
  const bytes = random.bytes(16);
  bytes[0] = ((bytes[0] as number) & 0x3f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}
