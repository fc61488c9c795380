import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { NodeIdentity } from '#agent/session/identity.ts';
import { Renewal } from '#agent/session/renewal.ts';
import { issueCertificate, requestedKey } from '#manager/ca/issue.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { nullLog } from '#proto/base/log.ts';
import { systemRandom } from '#proto/base/random.ts';
import type { NodeRole } from '#proto/types/states.ts';
import { type TestCa, testCa } from '../../../support/certificates.ts';
import { settle, VirtualClock } from '../../../support/virtual-clock.ts';

const HOUR_MS = 3_600_000;
const LIFETIME_MS = 90 * 24 * HOUR_MS;

/** A clock that remembers how long it was asked to wait. */
class RecordingClock extends VirtualClock {
  readonly waits: number[] = [];

  override timer(ms: number, fire: () => void): () => void {
    this.waits.push(ms);
    return super.timer(ms, fire);
  }
}

interface Scene extends AsyncDisposable {
  readonly identity: NodeIdentity;
  readonly clock: RecordingClock;
  readonly renewal: Renewal;
  /** When certificates were asked for, wall clock. */
  readonly asked: number[];
  /** The role that is issued; undefined: the managers don't answer. */
  role: NodeRole | undefined;
  /** Lets time pass, in steps of an hour, and whatever is written or signed come to its end. */
  pass(hours: number): Promise<void>;
}

let ca: TestCa;
test.before(async () => {
  ca = await testCa();
});

/** A node whose certificate is new, whose share of its life before renewal is drawn as `chance`. */
async function scene(chance: number): Promise<Scene> {
  const dir = await mkdtemp(join(tmpdir(), 'shoal-test-renewal-'));
  const identity = await NodeIdentity.open(dir);
  const node = await ca.node('worker');
  await identity.adopt(node.identity.current());
  const clock = new RecordingClock(Date.now());
  let working: Promise<unknown> = Promise.resolve();
  identity.onChange(() => undefined);
  const issue = async (csr: string) => {
    found.asked.push(clock.wallMs());
    const role = found.role;
    if (role === undefined) throw new ShoalError('UNAVAILABLE', 'nobody there');
    const key = await requestedKey(csr);
    const subject = { ...identity.peer(), role, lifetimeMs: LIFETIME_MS };
    const { certificate } = await issueCertificate(ca.root, subject, key, { clock, random: systemRandom });
    return { certificate, rootCertificates: ca.root.certificate, nodeId: subject.nodeId, role };
  };
  const random = { next: () => chance, bytes: systemRandom.bytes };
  const renewal = new Renewal({
    identity,
    clock,
    random,
    log: nullLog,
    issue: (csr) => {
      const issued = issue(csr);
      working = issued.catch(() => undefined);
      return issued;
    },
  });
  const found: Scene = {
    identity,
    clock,
    renewal,
    asked: [],
    role: 'worker',
    async pass(hours) {
      for (let hour = 0; hour < hours; hour++) {
        await clock.advance(HOUR_MS);
        const count = found.asked.length;
        await working;
        if (found.asked.length !== count) await working;
      }
    },
    async [Symbol.asyncDispose]() {
      await renewal[Symbol.asyncDispose]();
      await rm(dir, { recursive: true });
    },
  };
  return found;
}

/** Waits until the identity is another. */
function changed(identity: NodeIdentity): Promise<void> {
  return new Promise((resolve) => {
    const stop = identity.onChange(() => {
      stop();
      resolve();
    });
  });
}

for (const [chance, share] of [
  [0, 0.5],
  [1, 0.8],
] as const) {
  test(`a certificate is renewed after ${share * 100} % of its life when chance says ${chance}`, async (t) => {
    await using at = await scene(chance);
    const { fromMs, untilMs } = at.identity.validity();
    const key = at.identity.current().key;
    const renewed = changed(at.identity);
    const hours = Math.floor(((untilMs - fromMs) * share) / HOUR_MS);
    await at.pass(hours - 3);
    t.deepEqual(at.asked, []);
    await at.pass(3);
    await renewed;
    t.is(at.asked.length, 1);
    t.true(at.identity.validity().untilMs > untilMs);
    t.not(at.identity.current().key, key);
  });
}

test("a new role is asked for at once, and becomes the node's own", async (t) => {
  await using at = await scene(0.5);
  at.role = 'manager';
  const renewed = changed(at.identity);
  at.renewal.renewNow();
  await renewed;
  t.is(at.identity.peer().role, 'manager');
  t.is(at.asked.length, 1);
});

test('while nobody answers it is asked again and again, ever more seldom, and the old certificate stays', async (t) => {
  await using at = await scene(0.5);
  at.role = undefined;
  const before = at.identity.current();
  at.clock.waits.length = 0;
  at.renewal.renewNow();
  for (let tries = 1; tries <= 12; tries++) {
    while (at.clock.waits.length < tries) await settle();
    await at.clock.advance(at.clock.waits.at(-1) as number);
  }
  const waits = at.clock.waits.slice(0, 12);
  t.is(waits[0], 3_750);
  t.is(waits[5], 32 * 3_750);
  t.is(waits[11], 0.75 * HOUR_MS);
  t.deepEqual(at.identity.current(), before);
  const renewed = changed(at.identity);
  at.role = 'worker';
  at.renewal.renewNow();
  await renewed;
  t.not(at.identity.current().certificate, before.certificate);
});
