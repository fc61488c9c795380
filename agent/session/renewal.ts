import { backoffMs } from '#proto/base/backoff.ts';
import type { Clock } from '#proto/base/clock.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import { Wake } from '#proto/base/wake.ts';
import type { IssueCertificateReply } from '#proto/gen/shoal.ts';
import type { NodeIdentity } from './identity.ts';
import { newPrivateKey, signingRequest } from './keys.ts';

export interface RenewalModules {
  readonly identity: NodeIdentity;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Asks any manager for a new certificate, showing the present one. */
  readonly issue: (csr: string, signal: AbortSignal) => Promise<IssueCertificateReply>;
}

/** Swarm's own: a random moment in this part of a certificate's life, so that nodes do not all come at once. */
const RENEW_FROM = 0.5;
const RENEW_UNTIL = 0.8;
const RETRY = { firstMs: 5_000, maxMs: 3_600_000 };
/** Longer waits are taken in pieces: timers have a limit, and the wall clock may be set in between. */
const WAIT_MS_MAX = 3_600_000;

/** Keeps this node's certificate valid and its role what the cluster wants. */
export class Renewal implements AsyncDisposable {
  readonly #modules: RenewalModules;
  readonly #stopping = new AbortController();
  readonly #wake = new Wake();
  readonly #running: Promise<void>;
  #asked = false;

  constructor(modules: RenewalModules) {
    this.#modules = modules;
    this.#running = this.#run(this.#stopping.signal);
  }

  /** Renews at once: the role has changed, or the root. */
  renewNow(): void {
    this.#asked = true;
    this.#wake.up();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new Error('stopping'));
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#due(signal);
        await this.#renewUntilDone(signal);
      } catch (error) {
        if (!signal.aborted) this.#modules.log.error('certificate renewal stopped', { err: error });
        return;
      }
    }
  }

  /** Waits until the certificate is old enough, or somebody asks. */
  async #due(signal: AbortSignal): Promise<void> {
    const { identity, clock, random } = this.#modules;
    const { fromMs, untilMs } = identity.validity();
    const share = RENEW_FROM + (RENEW_UNTIL - RENEW_FROM) * random.next();
    const dueMs = fromMs + (untilMs - fromMs) * share;
    for (let leftMs = dueMs - clock.wallMs(); leftMs > 0 && !this.#asked; leftMs = dueMs - clock.wallMs()) {
      await this.#wake.within(Math.min(leftMs, WAIT_MS_MAX), clock, signal);
    }
    signal.throwIfAborted();
    this.#asked = false;
  }

  async #renewUntilDone(signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#modules;
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#renew(signal);
        return;
      } catch (error) {
        signal.throwIfAborted();
        log.warn('the certificate could not be renewed', { err: error, attempt });
        await this.#wake.within(backoffMs(RETRY, attempt, random), clock, signal);
      }
    }
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const { identity, log } = this.#modules;
    const key = newPrivateKey();
    const issued = await this.#modules.issue(await signingRequest(key), signal);
    await identity.adopt({ certificate: issued.certificate, key, roots: issued.rootCertificates });
    log.info('the certificate was renewed', { role: issued.role });
  }
}
