import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { newPrivateKey, signingRequest } from '#agent/session/keys.ts';
import { issueCertificate, nodeIdOf, requestedKey } from '#manager/ca/issue.ts';
import { createRootCa } from '#manager/ca/root.ts';
import { systemClock } from '#proto/base/clock.ts';
import type { ShoalError } from '#proto/base/errors.ts';
import { seededRandom, systemRandom } from '#proto/base/random.ts';
import { rootDigest } from '#proto/rpc/join-token.ts';
import { identityOf } from '#proto/rpc/tls.ts';
import type { ClusterId, NodeId } from '#proto/types/ids.ts';

const modules = { clock: systemClock, random: systemRandom };
const HOUR_MS = 3_600_000;
const subject = {
  nodeId: 'node1' as NodeId,
  role: 'worker',
  clusterId: 'cluster1' as ClusterId,
  lifetimeMs: 90 * 24 * HOUR_MS,
} as const;

/** openssl as the oracle: a library must not judge its own work. */
function openssl(args: readonly string[], files: Readonly<Record<string, string>>): string {
  const dir = mkdtempSync(join(tmpdir(), 'shoal-test-issue-'));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
    return execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] }).toString();
  } finally {
    rmSync(dir, { recursive: true });
  }
}

async function issued(
  key = newPrivateKey(),
): Promise<{ root: string; certificate: string; expiresAtMs: number }> {
  const root = await createRootCa(modules);
  const publicKey = await requestedKey(await signingRequest(key));
  return { root: root.certificate, ...(await issueCertificate(root, subject, publicKey, modules)) };
}

test('root: openssl reads it as a CA of 20 years on P-256, named swarm-ca', async (t) => {
  const root = await createRootCa(modules);
  const text = openssl(['x509', '-in', 'root', '-noout', '-text'], { root: root.certificate });
  t.regex(text, /Subject: CN = swarm-ca/);
  t.regex(text, /CA:TRUE/);
  t.regex(text, /prime256v1/);
  t.regex(text, /ecdsa-with-SHA256/);
  const { validFromDate, validToDate } = new X509Certificate(root.certificate);
  t.is(Math.round((validToDate.getTime() - validFromDate.getTime()) / HOUR_MS), 20 * 365 * 24 + 1);
  t.is(
    openssl(['verify', '-x509_strict', '-CAfile', 'root', 'root'], { root: root.certificate }),
    'root: OK\n',
  );
});

test('root: its digest is the SHA-256 that openssl prints, as 50 digits of base 36', async (t) => {
  const { certificate, digest } = await createRootCa(modules);
  const printed = openssl(['x509', '-in', 'root', '-noout', '-fingerprint', '-sha256'], {
    root: certificate,
  });
  const hex = (printed.split('=')[1] as string).trim().replaceAll(':', '');
  t.is(digest, BigInt(`0x${hex}`).toString(36).padStart(50, '0'));
  t.is(rootDigest(certificate), digest);
  t.is(digest.length, 50);
});

test('issue: openssl verifies the chain strictly, for a server and for a client', async (t) => {
  const { root, certificate } = await issued();
  for (const purpose of ['sslserver', 'sslclient']) {
    const args = ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', 'root', 'node'];
    t.is(openssl(args, { root, node: certificate }), 'node: OK\n');
  }
});

test('issue: subject and alternative names say node, role and swarm, in what openssl reads', async (t) => {
  const { certificate } = await issued();
  const text = openssl(['x509', '-in', 'node', '-noout', '-text'], { node: certificate });
  t.regex(text, /Subject: O = cluster1, OU = swarm-worker, CN = node1/);
  t.regex(text, /DNS:swarm-worker, DNS:node1/);
  t.regex(text, /CA:FALSE/);
  t.deepEqual(identityOf(certificate), {
    nodeId: subject.nodeId,
    role: 'worker',
    clusterId: subject.clusterId,
  });
});

test('issue: valid from an hour ago for the lifetime asked for, and never for less than an hour', async (t) => {
  const clock = { wallMs: () => Date.UTC(2030, 0, 1) };
  const root = await createRootCa({ ...modules, clock });
  const key = createPublicKey(createPrivateKey(newPrivateKey()));
  const long = await issueCertificate(root, subject, key, { ...modules, clock });
  t.is(new X509Certificate(long.certificate).validFromDate.getTime(), clock.wallMs() - HOUR_MS);
  t.is(new X509Certificate(long.certificate).validToDate.getTime(), clock.wallMs() + subject.lifetimeMs);
  t.is(long.expiresAtMs, clock.wallMs() + subject.lifetimeMs);
  const short = await issueCertificate(root, { ...subject, lifetimeMs: 1 }, key, { ...modules, clock });
  t.is(short.expiresAtMs, clock.wallMs() + HOUR_MS);
});

test('issue: no certificate outlives its root', async (t) => {
  const root = await createRootCa(modules);
  const key = createPublicKey(createPrivateKey(newPrivateKey()));
  const { expiresAtMs } = await issueCertificate(root, { ...subject, lifetimeMs: 1e15 }, key, modules);
  t.is(expiresAtMs, new X509Certificate(root.certificate).validToDate.getTime());
});

test('issue: without the root key it is refused, saying why', async (t) => {
  const { key: _kept, ...root } = await createRootCa(modules);
  const key = createPublicKey(createPrivateKey(newPrivateKey()));
  await t.throwsAsync(issueCertificate(root, subject, key, modules), { message: /kept outside/ });
});

test('request: openssl accepts ours, and ours are accepted from openssl', async (t) => {
  const key = newPrivateKey();
  const ours = await signingRequest(key);
  t.notThrows(() => openssl(['req', '-in', 'request', '-noout', '-verify'], { request: ours }));
  const theirs = openssl(['req', '-new', '-key', 'key', '-subj', '/CN=root/OU=swarm-manager'], { key });
  t.true((await requestedKey(theirs)).equals(await requestedKey(ours)));
});

test('request: what it says about subject and role changes nothing', async (t) => {
  const key = newPrivateKey();
  const request = openssl(
    [
      'req',
      '-new',
      '-key',
      'key',
      '-subj',
      '/O=other/OU=swarm-manager/CN=evil',
      '-addext',
      'subjectAltName=DNS:swarm-manager',
    ],
    { key },
  );
  const root = await createRootCa(modules);
  const { certificate } = await issueCertificate(root, subject, await requestedKey(request), modules);
  const text = openssl(['x509', '-in', 'node', '-noout', '-text'], { node: certificate });
  t.notRegex(text, /manager|evil|other/);
});

test('request: another curve, RSA, a foreign signature, garbage and too much are refused as invalid', async (t) => {
  const other = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  });
  const from = (key: string | Buffer): string =>
    openssl(['req', '-new', '-key', 'key', '-subj', '/CN=a'], { key: key.toString() });
  const good = await signingRequest(newPrivateKey());
  const der = Buffer.from(good.split('\n').slice(1, -2).join(''), 'base64');
  der[der.length - 1] = (der[der.length - 1] as number) ^ 1;
  const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
  for (const request of [from(other), from(rsa), forged, 'garbage', '', `${good}${' '.repeat(9_000)}`]) {
    const error = await t.throwsAsync<ShoalError>(requestedKey(request));
    t.is(error?.code, 'INVALID_ARGUMENT', request.slice(0, 40));
  }
});

test('request: bytes flipped anywhere are refused or leave the key as it was, and never break anything else', async (t) => {
  const good = await signingRequest(newPrivateKey());
  const der = Buffer.from(good.split('\n').slice(1, -2).join(''), 'base64');
  const key = await requestedKey(good);
  const random = seededRandom(7);
  for (let round = 0; round < 200; round++) {
    const bytes = Buffer.from(der);
    const at = Math.floor(random.next() * bytes.length);
    bytes[at] = (bytes[at] as number) ^ (1 + Math.floor(random.next() * 255));
    const request = `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
    try {
      t.true((await requestedKey(request)).equals(key));
    } catch (error) {
      t.is((error as ShoalError).code, 'INVALID_ARGUMENT', `round ${round}`);
    }
  }
});

test('node id: the same key is the same node, and 25 characters of base 36', async (t) => {
  const key = newPrivateKey();
  const id = nodeIdOf(await requestedKey(await signingRequest(key)));
  t.is(nodeIdOf(await requestedKey(await signingRequest(key))), id);
  t.regex(id, /^[0-9a-z]{25}$/);
});
