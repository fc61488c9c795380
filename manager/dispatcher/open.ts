import type { Clock } from '#proto/base/clock.ts';
import { LIMITS } from '#proto/base/limits.ts';
import type { Log } from '#proto/base/log.ts';
import type { Metrics } from '#proto/base/metrics.ts';
import type { Random } from '#proto/base/random.ts';
import type { Implementation, RpcDialer } from '#proto/rpc/types.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { Consensus } from '../consensus/consensus.ts';
import type { Store } from '../store/view.ts';
import { Dispatcher } from './dispatcher.ts';
import { LeaderReports } from './leader-reports.ts';
import { PatientClock } from './patient-clock.ts';
import { Reporter } from './reporter.ts';
import { Sessions } from './sessions.ts';

export interface DispatcherPartsModules {
  /** This manager. */
  readonly nodeId: NodeId;
  readonly store: Store;
  readonly consensus: Pick<Consensus, 'leadership' | 'onLeadership'>;
  readonly dialer: RpcDialer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** All of a manager that has to do with agents. */
export interface DispatcherParts extends AsyncDisposable {
  /** To be offered to nodes. */
  readonly dispatcher: Implementation<'Dispatcher'>;
  /** To be offered to managers. */
  readonly leaderReports: Implementation<'LeaderReports'>;
  /** Situation.networkReady, while this manager leads. */
  readonly networkReady: ReadonlyMap<NodeId, number>;
  onNetworkReady(changed: () => void): () => void;
}

const MS_NS = 1_000_000;

/** Puts the parts together; they work at once, and stop in reverse order. */
export function openDispatcher(modules: DispatcherPartsModules): DispatcherParts {
  const stack = new AsyncDisposableStack();
  const patient = stack.use(new PatientClock(modules.clock));
  const shared = { ...modules, patient, sessions: new Sessions(), periodMs: () => periodOf(modules.store) };
  const intake = stack.use(new LeaderReports(shared));
  const reporter = stack.use(new Reporter({ ...shared, intake }));
  const dispatcher = stack.use(new Dispatcher({ ...shared, reporter }));
  return {
    dispatcher,
    leaderReports: intake,
    networkReady: intake.networkReady,
    onNetworkReady: (changed) => intake.onNetworkReady(changed),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** How often agents are to be heard: a setting of the cluster. */
function periodOf(store: Pick<Store, 'view'>): number {
  const periodNs = store.view().cluster?.spec.heartbeatPeriodNs ?? 0;
  return periodNs > 0 ? periodNs / MS_NS : LIMITS.heartbeatPeriodMs;
}
