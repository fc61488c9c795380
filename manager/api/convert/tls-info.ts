import { X509Certificate } from 'node:crypto';

/** What nodes and the swarm say about whom they trust: the root (PEM), and its name and key (DER, base64). */
export interface TlsInfo {
  readonly TrustRoot: string;
  readonly CertIssuerSubject: string;
  readonly CertIssuerPublicKey: string;
}

let last: TlsInfo | undefined;

/** Reads the cluster's root certificate (PEM); the one read last is kept, for it is asked for with every node. */
export function tlsInfo(rootPem: string): TlsInfo {
  if (last?.TrustRoot !== rootPem) last = read(rootPem);
  return last;
}

function read(rootPem: string): TlsInfo {
  if (rootPem === '') return { TrustRoot: '', CertIssuerSubject: '', CertIssuerPublicKey: '' };
  const { raw, publicKey } = new X509Certificate(rootPem);
  return {
    TrustRoot: rootPem,
    CertIssuerSubject: subjectOf(raw).toString('base64'),
    CertIssuerPublicKey: publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
  };
}

const CONTEXT_0 = 0xa0;
/** Of what is signed, behind the optional version: serial number, algorithm, issuer, validity, subject. */
const SUBJECT_AT = 4;

/** The subject of a certificate as it stands there (RFC 5280, section 4.1): DER. */
function subjectOf(certificate: Buffer): Buffer {
  const [signed = certificate] = elements(certificate, contentStart(certificate, 0));
  const fields = elements(signed, contentStart(signed, 0));
  const behindVersion = fields[0]?.[0] === CONTEXT_0 ? fields.slice(1) : fields;
  return behindVersion[SUBJECT_AT] ?? Buffer.alloc(0);
}

/** The elements of a DER value one after the other, each with its head. */
function elements(der: Buffer, from: number): Buffer[] {
  const found: Buffer[] = [];
  for (let at = from; at < der.length; ) {
    const start = contentStart(der, at);
    const end = start + contentLength(der, at);
    found.push(der.subarray(at, end));
    at = end;
  }
  return found;
}

/** Where the content of the element at `at` begins: behind its tag and its length, which is short or says how long it is. */
function contentStart(der: Buffer, at: number): number {
  const length = der[at + 1] ?? 0;
  return at + 2 + (length < 0x80 ? 0 : length & 0x7f);
}

function contentLength(der: Buffer, at: number): number {
  const length = der[at + 1] ?? 0;
  return length < 0x80 ? length : der.readUIntBE(at + 2, length & 0x7f);
}
