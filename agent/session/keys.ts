import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const;

/** A new private key for this node (ECDSA P-256), PEM. */
export function newPrivateKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/**
 * A signing request (PEM) for a private key (PEM). It names nobody: who the node is, the managers decide.
 * The certificate library is large and seldom needed, so it is loaded here, after the reflection it builds upon.
 */
export async function signingRequest(privateKey: string): Promise<string> {
  await import('reflect-metadata');
  const { Pkcs10CertificateRequestGenerator } = await import('@peculiar/x509');

  const key = createPrivateKey(privateKey);
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: '',
    keys: {
      privateKey: key.toCryptoKey(ALGORITHM, false, ['sign']) as CryptoKey,
      publicKey: createPublicKey(key).toCryptoKey(ALGORITHM, true, ['verify']) as CryptoKey,
    },
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
  });
  return `${request.toString('pem')}\n`;
}
