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
    for (const container of this.#modules.containers.withLabel(TASK_LABEL)) {
      if (signal.aborted) return;
      if (keep.has(container.labels[TASK_LABEL] as TaskKey)) continue;
      await this.#modules.containers.remove(container.id, { force: true, volumes: true });
    }
  }

  applyNetwork(state: NetworkState): Promise<void> {
    return this.#modules.network.applyCluster(state);
  }
}
