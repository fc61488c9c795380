import type { NetworkState } from '#proto/types/assignments.ts';
import type { NodeDescription } from '#proto/types/objects.ts';
import type { NodeNetwork } from '../../net/node-network.ts';
import type { Executor, TaskContext, TaskController, TaskKey } from '../executor.ts';
import { ContainerController, type ContainerControllerModules } from './container-controller.ts';
import { TASK_LABEL } from './spec.ts';

export interface ContainerExecutorModules extends ContainerControllerModules {
  readonly network: NodeNetwork;
  readonly describe: () => Promise<NodeDescription>;
}

/** Containers that are removed at a time: those that go together share the kernel's grace periods. */
const SWEPT_AT_ONCE = 16;

/** Runs tasks as containers of this node's own core. */
export class ContainerExecutor implements Executor {
  readonly #modules: ContainerExecutorModules;

  constructor(modules: ContainerExecutorModules) {
    this.#modules = modules;
  }

  describe(): Promise<NodeDescription> {
    return this.#modules.describe();
  }

  controller(context: TaskContext): TaskController {
    return new ContainerController(context, this.#modules);
  }

  async sweep(keep: ReadonlySet<TaskKey>, signal: AbortSignal): Promise<void> {
    const { containers } = this.#modules;
    const all = containers.withLabel(TASK_LABEL);
    const left = all.filter(({ labels }) => !keep.has(labels[TASK_LABEL] as TaskKey));
    const failures: unknown[] = [];
    while (left.length > 0 && !signal.aborted) {
      const some = left.splice(0, SWEPT_AT_ONCE);
      const removals = some.map(({ id }) => containers.remove(id, { force: true, volumes: true }));
      for (const removal of await Promise.allSettled(removals))
        if (removal.status === 'rejected') failures.push(removal.reason);
    }
    if (failures.length > 0) throw failures[0];
  }

  applyNetwork(state: NetworkState): Promise<void> {
    return this.#modules.network.applyCluster(state);
  }
}
