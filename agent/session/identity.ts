import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, ShoalError } from '#proto/base/errors.ts';
import { HeldIdentity } from '#proto/rpc/identity.ts';
import { identityOf } from '#proto/rpc/tls.ts';
import type { IdentitySource, PeerIdentity, TlsIdentity } from '#proto/rpc/types.ts';
import { readJson, removeFile, writeJson } from './files.ts';

const NOBODY: TlsIdentity = { certificate: '', key: '', roots: '' };

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
  /** Writes one after the other. */
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(path: string, identity: TlsIdentity) {
    this.#path = path;
    this.#held = new HeldIdentity(identity);
  }

  /** Reads what the last daemon left in `dir`, which is made if need be. */
  static async open(dir: string): Promise<NodeIdentity> {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const path = join(dir, 'identity.json');
    const found = await readJson(path);
    const identity = new NodeIdentity(path, NOBODY);
    if (found !== undefined) identity.#held.set(checked(found as TlsIdentity));
    return identity;
  }

  /** This node is part of a cluster. */
  get joined(): boolean {
    return this.#held.current().certificate !== '';
  }

  current(): TlsIdentity {
    if (!this.joined) throw new ShoalError('NOT_MANAGER', 'This node is not part of a swarm');
    return this.#held.current();
  }

  onChange(changed: (identity: TlsIdentity) => void): () => void {
    return this.#held.onChange(changed);
  }

  /** Node, role and cluster, as the certificate says them. */
  peer(): PeerIdentity {
    return identityOf(this.current().certificate);
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
      this.#held.set(NOBODY);
    });
  }

  #change(next: (current: TlsIdentity) => TlsIdentity): Promise<void> {
    return this.#inTurn(async () => {
      const identity = next(this.#held.current());
      await writeJson(this.#path, identity);
      this.#held.set(identity);
    });
  }

  #inTurn(run: () => Promise<void>): Promise<void> {
    const turn = this.#writing.then(run);
    this.#writing = turn.catch(() => undefined);
    return turn;
  }
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
