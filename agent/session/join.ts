import { join as pathOf } from 'node:path';
import { codeOf, FAILURES, messageOf, ShoalError } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';
import { openDialer } from '#proto/rpc/client.ts';
import { rootsOnly } from '#proto/rpc/identity.ts';
import { parseJoinToken, rootDigest } from '#proto/rpc/join-token.ts';
import type { PeerIdentity, TlsIdentity } from '#proto/rpc/types.ts';
import type { NodeAvailability } from '#proto/types/states.ts';
import { readJson, removeFile, writeJson } from './files.ts';
import type { NodeIdentity } from './identity.ts';
import { newPrivateKey, signingRequest } from './keys.ts';

export interface JoinRequest {
  /** host:port of managers, tried in this order. */
  readonly remoteAddrs: readonly string[];
  readonly token: string;
  readonly availability?: NodeAvailability;
}

export interface JoinModules {
  readonly identity: NodeIdentity;
  /** Where the identity is kept; the key of a join that was cut short is kept beside it. */
  readonly dir: string;
  readonly log: Log;
}

const TIMEOUT_MS = 10_000;

/**
 * Makes this node part of a cluster: fetches its root, checks that against the token, and only then shows the token to
 * a manager of that root, which answers with a certificate. Asking again after a crash makes no second node.
 */
export async function joinCluster(
  request: JoinRequest,
  modules: JoinModules,
  signal?: AbortSignal,
): Promise<PeerIdentity> {
  const { digest } = parseJoinToken(request.token);
  const pending = pathOf(modules.dir, 'joining.json');
  const key = await pendingKey(pending, digest);
  const identity = await firstOf(request.remoteAddrs, modules.log, async (addr) => {
    const roots = await trustedRoot(addr, digest, signal);
    return await certificateFrom(addr, request, { key, roots }, signal);
  });
  await modules.identity.adopt(identity);
  await removeFile(pending);
  return modules.identity.peer();
}

/** The key this node joins that cluster with: the one of an attempt that was cut short, if there was one. */
async function pendingKey(path: string, digest: string): Promise<string> {
  const found = (await readJson(path)) as { digest?: string; key?: string } | undefined;
  if (found?.digest === digest && found.key !== undefined) return found.key;
  const key = newPrivateKey();
  await writeJson(path, { digest, key });
  return key;
}

/** The first success; a failure that another manager would repeat ends the search. */
async function firstOf<T>(
  addrs: readonly string[],
  log: Log,
  attempt: (addr: string) => Promise<T>,
): Promise<T> {
  let failure: unknown = new ShoalError(
    'INVALID_ARGUMENT',
    'at least one address of a manager is needed to join',
  );
  for (const addr of addrs) {
    try {
      return await attempt(addr);
    } catch (error) {
      failure = error;
      log.warn('joining by this manager failed', { addr, err: error });
      if (!FAILURES[codeOf(error)].retry) break;
    }
  }
  throw failure;
}

/** The cluster's root, from a manager nothing is known of yet: good if it is what the token says. */
async function trustedRoot(addr: string, digest: string, signal?: AbortSignal): Promise<string> {
  await using dialer = openDialer({}, {});
  const { certificate } = await dialer.client('Ca', addr, 'anyone').getRootCa({}, callOpts(signal));
  const found = digestOf(certificate);
  if (found === digest) return certificate;
  throw new ShoalError(
    'UNAUTHENTICATED',
    `remote CA does not match fingerprint. Expected: ${digest}, found ${found}`,
  );
}

function digestOf(certificate: string): string {
  try {
    return rootDigest(certificate);
  } catch (error) {
    return `no certificate (${messageOf(error)})`;
  }
}

async function certificateFrom(
  addr: string,
  request: JoinRequest,
  own: { readonly key: string; readonly roots: string },
  signal?: AbortSignal,
): Promise<TlsIdentity> {
  await using dialer = openDialer({}, { identity: rootsOnly(own.roots) });
  const { token, availability = 'active' } = request;
  const csr = await signingRequest(own.key);
  const client = dialer.client('Ca', addr, 'manager');
  const issued = await client.issueCertificate({ csr, token, availability }, callOpts(signal));
  return { certificate: issued.certificate, key: own.key, roots: issued.rootCertificates };
}

function callOpts(signal?: AbortSignal): { timeoutMs: number; signal?: AbortSignal } {
  return signal === undefined ? { timeoutMs: TIMEOUT_MS } : { timeoutMs: TIMEOUT_MS, signal };
}
