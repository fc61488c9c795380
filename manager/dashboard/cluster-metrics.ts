import type { Metrics } from '#proto/base/metrics.ts';
import { TaskState, taskStateName } from '#proto/types/states.ts';
import type { Consensus } from '../consensus/consensus.ts';
import type { Store } from '../store/view.ts';

export interface ClusterMetricsModules {
  readonly store: Pick<Store, 'view'>;
  readonly consensus: Pick<Consensus, 'leadership'>;
  readonly metrics: Metrics;
}

const NODE_STATES = ['unknown', 'down', 'ready', 'disconnected'] as const;

/**
 * What a manager tells of the cluster when it is scraped, under the names that Docker's own managers use. Counted only
 * then. After dispose the numbers are those of a node that manages nothing.
 */
export function observeCluster({ store, consensus, metrics }: ClusterMetricsModules): Disposable {
  const leader = metrics.gauge('swarm_manager_leader', 'Indicates if this manager node is a leader');
  const manager = metrics.gauge('swarm_node_manager', 'Whether this node is a manager or not');
  const nodes = metrics.gauge('swarm_manager_nodes', 'The number of nodes', ['state']);
  const tasks = metrics.gauge(
    'swarm_manager_tasks_total',
    'The number of tasks in the cluster object store',
    ['state'],
  );
  const services = metrics.gauge(
    'swarm_manager_services_total',
    'The number of services in the cluster object store',
  );
  const networks = metrics.gauge(
    'swarm_manager_networks_total',
    'The number of networks in the cluster object store',
  );
  const end = metrics.onScrape(() => {
    const view = store.view();
    leader.set(consensus.leadership().leading ? 1 : 0);
    manager.set(1);
    services.set(view.services.size);
    networks.set(view.networks.size);
    const byNodeState = counted([...view.nodes.all()].map(({ status }) => status.state));
    for (const state of NODE_STATES) nodes.set(byNodeState.get(state) ?? 0, { state });
    const byTaskState = view.tasks.countByState();
    for (const state of Object.values(TaskState)) {
      tasks.set(byTaskState.get(state) ?? 0, { state: taskStateName(state) });
    }
  });
  return {
    [Symbol.dispose]() {
      end();
      leader.set(0);
      manager.set(0);
    },
  };
}

function counted(items: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return counts;
}
