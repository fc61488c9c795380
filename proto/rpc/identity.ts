import type { IdentitySource, TlsIdentity } from './types.ts';

/**
 * An identity held in memory: what somebody else keeps on disk, handed on. A worker thread gets its node's identity
 * by message and puts it here.
 */
export class HeldIdentity implements IdentitySource {
  #current: TlsIdentity;
  readonly #listeners = new Set<(identity: TlsIdentity) => void>();

  constructor(identity: TlsIdentity) {
    this.#current = identity;
  }

  current(): TlsIdentity {
    return this.#current;
  }

  onChange(changed: (identity: TlsIdentity) => void): () => void {
    const listener = (identity: TlsIdentity): void => changed(identity);
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Replaces the identity and tells everybody; an equal one tells nobody. */
  set(identity: TlsIdentity): void {
    const { certificate, key, roots } = this.#current;
    if (certificate === identity.certificate && key === identity.key && roots === identity.roots) return;
    this.#current = identity;
    for (const listener of [...this.#listeners]) listener(identity);
  }
}

/** What a node that has no certificate yet knows: whom to trust. It shows nothing itself. */
export function rootsOnly(roots: string): IdentitySource {
  return new HeldIdentity({ certificate: '', key: '', roots });
}
