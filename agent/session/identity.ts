import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, ShoalError } from '#proto/base/errors.ts';
import { lockBox, openBox } from '#proto/base/locked-box.ts';
import { type Random, systemRandom } from '#proto/base/random.ts';
import { HeldIdentity } from '#proto/rpc/identity.ts';
import { identityOf } from '#proto/rpc/tls.ts';
import type { IdentitySource, PeerIdentity, TlsIdentity } from '#proto/rpc/types.ts';
import { readJson, removeFile, writeJson } from './files.ts';

const NOBODY: TlsIdentity = { certificate: '', key: '', roots: '' };
const BOX = 'node identity';

/** A lock on what only a manager may know, which opens with the cluster's key. */
export interface IdentityLock {
  /** What opens it. */
  readonly secret: Uint8Array;
  /** Kept with the key: what other files of this node are locked with. It stays when `secret` changes. */
  readonly inner: Uint8Array;
  /** What they were locked with before, and still are where a change was cut short. */
  readonly before?: Uint8Array;
}

interface BoxContent {
  readonly key: string;
  /** Base64, as `before`. */
  readonly inner: string;
  readonly before?: string;
}

/** As on disk: `key` is in the box where there is one. */
interface StoredIdentity extends TlsIdentity {
  readonly locked?: string;
}

/** When a certificate is valid, wall-clock milliseconds. */
export interface Validity {
  readonly fromMs: number;
  readonly untilMs: number;
}

/**
 * Who this node is, on disk: key, certificate and trusted roots in one file, so that they always match each other.
 * Readable by root alone, and replaced as a whole.
 */
export class NodeIdentity implements IdentitySource {
  readonly #path: string;
  readonly #held: HeldIdentity;
  readonly #random: Pick<Random, 'bytes'>;
  /** Writes one after the other. */
  #writing: Promise<unknown> = Promise.resolve();
  /** Read, and not opened yet. */
  #closed: StoredIdentity | undefined;
  #lock: IdentityLock | undefined;

  private constructor(path: string, random: Pick<Random, 'bytes'>) {
    this.#path = path;
    this.#random = random;
    this.#held = new HeldIdentity(NOBODY);
  }

  /** Reads what the last daemon left in `dir`, which is made if need be. */
  static async open(dir: string, random: Pick<Random, 'bytes'> = systemRandom): Promise<NodeIdentity> {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const path = join(dir, 'identity.json');
    const found = (await readJson(path)) as StoredIdentity | undefined;
    const identity = new NodeIdentity(path, random);
    if (found?.locked !== undefined) identity.#closed = found;
    else if (found !== undefined) identity.#held.set(checked(found));
    return identity;
  }

  /** This node is part of a cluster. */
  get joined(): boolean {
    return this.isLocked || this.#held.current().certificate !== '';
  }

  /** It is known who this node is, but not the key that proves it. */
  get isLocked(): boolean {
    return this.#closed !== undefined;
  }

  /** What locks this node's files, while they are locked and open. */
  get lock(): IdentityLock | undefined {
    return this.#lock;
  }

  /** Opens it. UNAUTHENTICATED when it was locked with another secret. */
  unlock(secret: Uint8Array): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#closed === undefined) return;
      const { certificate, roots, locked = '' } = this.#closed;
      const { key, inner, before } = JSON.parse(openBox(secret, BOX, locked)) as BoxContent;
      const identity = checked({ certificate, key, roots });
      this.#lock = {
        secret,
        inner: bytesOf(inner),
        ...(before !== undefined && { before: bytesOf(before) }),
      };
      this.#closed = undefined;
      this.#held.set(identity);
    });
  }

  /** From now on the key is on disk in a box that opens with this lock's secret, or open where there is none. */
  lockWith(lock: IdentityLock | undefined): Promise<void> {
    return this.#inTurn(async () => {
      await this.#write(this.current(), lock);
      this.#lock = lock;
    });
  }

  current(): TlsIdentity {
    if (this.isLocked) throw new ShoalError('NOT_MANAGER', 'the key of this node is locked');
    if (!this.joined) throw new ShoalError('NOT_MANAGER', 'This node is not part of a swarm');
    return this.#held.current();
  }

  onChange(changed: (identity: TlsIdentity) => void): () => void {
    return this.#held.onChange(changed);
  }

  /** Node, role and cluster, as the certificate says them. */
  peer(): PeerIdentity {
    return identityOf((this.#closed ?? this.current()).certificate);
  }

  validity(): Validity {
    const certificate = new X509Certificate(this.current().certificate);
    return { fromMs: certificate.validFromDate.getTime(), untilMs: certificate.validToDate.getTime() };
  }

  /** From now on this node is who `identity` says: on disk first, then for every connection. */
  adopt(identity: TlsIdentity): Promise<void> {
    return this.#change(() => checked(identity));
  }

  /** Trusts these roots (PEM) from now on, besides nothing else. */
  trust(roots: string): Promise<void> {
    return this.#change((current) => checked({ ...current, roots }));
  }

  /** Leaves the cluster: key and certificate are gone. */
  forget(): Promise<void> {
    return this.#inTurn(async () => {
      await removeFile(this.#path);
      this.#closed = undefined;
      this.#lock = undefined;
      this.#held.set(NOBODY);
    });
  }

  #change(next: (current: TlsIdentity) => TlsIdentity): Promise<void> {
    return this.#inTurn(async () => {
      const identity = next(this.#held.current());
      await this.#write(identity, this.#lock);
      this.#held.set(identity);
    });
  }

  async #write(identity: TlsIdentity, lock: IdentityLock | undefined): Promise<void> {
    if (lock === undefined) return writeJson(this.#path, identity);
    const { certificate, key, roots } = identity;
    const { secret, inner, before } = lock;
    const content: BoxContent = { key, inner: base64(inner), ...(before && { before: base64(before) }) };
    const locked = lockBox(secret, BOX, JSON.stringify(content), this.#random);
    await writeJson(this.#path, { certificate, roots, locked });
  }

  #inTurn(run: () => Promise<void>): Promise<void> {
    const turn = this.#writing.then(run);
    this.#writing = turn.catch(() => undefined);
    return turn;
  }
}

function bytesOf(base64Text: string): Uint8Array {
  return new Uint8Array(Buffer.from(base64Text, 'base64'));
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

/** An identity whose parts belong together: the key is the certificate's, and a root vouches for it. */
function checked({ certificate, key, roots }: TlsIdentity): TlsIdentity {
  try {
    identityOf(certificate);
    const own = new X509Certificate(certificate);
    if (!own.publicKey.equals(createPublicKey(createPrivateKey(key))))
      throw new Error('the key is not its own');
    if (!certificatesIn(roots).some((root) => own.checkIssued(root) && own.verify(root.publicKey))) {
      throw new Error('no trusted root has issued it');
    }
    return { certificate, key, roots };
  } catch (error) {
    const message = `the node's certificate can't be used: ${messageOf(error)}`;
    throw new ShoalError('INVALID_ARGUMENT', message, { cause: error });
  }
}

/** Every certificate of a PEM text. */
function certificatesIn(pem: string): X509Certificate[] {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return found.map((text) => new X509Certificate(text));
}
