import { ShoalError } from '#proto/base/errors.ts';

/** What a failed connection is called where Docker's clients show it; anything else keeps its own words. */
export function dialError(error: unknown, method: string, url: URL): ShoalError {
  const failure = firstOf(error as NodeJS.ErrnoException);
  const reason = reasonOf(failure, url);
  return new ShoalError('UNAVAILABLE', `${capital(method)} "${url.href}": ${reason}`, { cause: error });
}

/** Node tries several addresses and then tells of all. */
function firstOf(error: NodeJS.ErrnoException): NodeJS.ErrnoException {
  const all = (error as unknown as AggregateError).errors as NodeJS.ErrnoException[] | undefined;
  return all?.[0] ?? error;
}

function capital(method: string): string {
  return method.charAt(0) + method.slice(1).toLowerCase();
}

const CONNECT_REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ENETUNREACH: 'network is unreachable',
  EHOSTUNREACH: 'no route to host',
  EACCES: 'permission denied',
};

const UNKNOWN_AUTHORITY = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

function reasonOf(error: NodeJS.ErrnoException, url: URL): string {
  const code = error.code ?? '';
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  const { address = url.hostname.replace(/^\[|\]$/g, '') } = error as { address?: string };
  const where = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  if (code in CONNECT_REASONS) return `dial tcp ${where}: connect: ${CONNECT_REASONS[code]}`;
  if (code === 'ETIMEDOUT') return `dial tcp ${where}: i/o timeout`;
  if (code === 'ENOTFOUND') return `dial tcp: lookup ${url.hostname}: no such host`;
  if (code === 'EAI_AGAIN') return `dial tcp: lookup ${url.hostname}: Temporary failure in name resolution`;
  if (code === 'ECONNRESET') return `read tcp ${where}: read: connection reset by peer`;
  if (UNKNOWN_AUTHORITY.has(code)) {
    return 'tls: failed to verify certificate: x509: certificate signed by unknown authority';
  }
  if (code === 'CERT_HAS_EXPIRED') {
    return 'tls: failed to verify certificate: x509: certificate has expired or is not yet valid';
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `tls: failed to verify certificate: x509: certificate is not valid for ${url.hostname}`;
  }
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG') {
    return 'http: server gave HTTP response to HTTPS client';
  }
  return error.message;
}
