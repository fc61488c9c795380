import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import type { IssueCertificateReply } from '#proto/gen/shoal.ts';
import { openDialer } from '#proto/rpc/client.ts';
import type { RpcDialer } from '#proto/rpc/types.ts';
import type { NodeDescription } from '#proto/types/objects.ts';
import type { ClusterNews } from './conversation.ts';
import type { NodeIdentity } from './identity.ts';
import { type KnownManager, Managers } from './managers.ts';
import { Renewal } from './renewal.ts';
import { Session, type SessionModules } from './session.ts';

export interface MembershipOpts {
  /** Where the list of managers is remembered. */
  readonly dir: string;
  /** Managers known from elsewhere: those the node joined by, or its own. */
  readonly managers?: readonly KnownManager[];
  readonly description: NodeDescription;
}

export interface MembershipModules extends Pick<SessionModules, 'consumer' | 'statuses' | 'localAddr'> {
  /** Of a node that has joined. Its role is watched by whoever starts and stops a manager here. */
  readonly identity: NodeIdentity;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** A node's membership in a cluster: its session, its connections to others, and a certificate that stays valid. */
export interface Membership extends AsyncDisposable {
  readonly session: Session;
  readonly managers: Managers;
  /** Shows this node's certificate. */
  readonly dialer: RpcDialer;
}

/** Takes up the membership of a node that has joined; role and roots follow what the managers say. */
export async function openMembership(opts: MembershipOpts, modules: MembershipModules): Promise<Membership> {
  await using stack = new AsyncDisposableStack();
  const { identity, log } = modules;
  const managers = await Managers.open(opts.dir, modules);
  await managers.learnMore(opts.managers ?? []);
  const dialer = stack.use(openDialer({}, modules));
  const issue = (csr: string, signal: AbortSignal): Promise<IssueCertificateReply> => {
    const addr = session.status().manager ?? managers.pick();
    if (addr === undefined) throw new ShoalError('UNAVAILABLE', 'no manager is known');
    return dialer.client('Ca', addr, 'manager').issueCertificate({ csr }, { signal });
  };
  const onCluster = ({ role, roots }: ClusterNews): void => {
    if (role !== identity.peer().role) renewal.renewNow();
    if (roots === '' || roots === identity.current().roots) return;
    identity
      .trust(roots)
      .catch((error: unknown) => log.error('new roots could not be trusted', { err: error }));
  };
  const session = new Session(opts.description, { ...modules, managers, dialer, onCluster });
  const renewal = stack.use(new Renewal({ ...modules, issue }));
  stack.use(session);
  const stop = stack.move();
  return { session, managers, dialer, [Symbol.asyncDispose]: () => stop.disposeAsync() };
}
