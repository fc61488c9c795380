import type { NetworkId, NodeId, ServiceId, TaskId } from '#proto/types/ids.ts';
import type { Dirty } from './assignments.ts';
import type { Topic } from './touched.ts';

/** What one node has not been told yet: collected while the last message is on its way, said as one. */
export class Unsaid {
  #self = false;
  #tasks = new Set<TaskId>();
  #peers = new Set<NodeId>();
  #networks = new Set<NetworkId>();
  #services = new Set<ServiceId>();
  #endpoints = new Set<TaskId>();
  #since: number | undefined;

  /** The version that the oldest of it is from; undefined: nothing is unsaid. */
  get since(): number | undefined {
    return this.#since;
  }

  /** Rows that were found in another way, since `version`. */
  addAll(dirty: Dirty, version: number): void {
    this.#since ??= version;
    this.#self ||= dirty.self;
    this.#tasks = new Set([...this.#tasks, ...dirty.tasks]);
    this.#peers = new Set([...this.#peers, ...dirty.peers]);
    this.#networks = new Set([...this.#networks, ...dirty.networks]);
    this.#services = new Set([...this.#services, ...dirty.services]);
    this.#endpoints = new Set([...this.#endpoints, ...dirty.endpoints]);
  }

  add(topic: Topic, id: string, version: number): void {
    this.#since ??= version;
    switch (topic) {
      case 'self':
        this.#self = true;
        break;
      case 'tasks':
        this.#tasks.add(id as TaskId);
        break;
      case 'peers':
        this.#peers.add(id as NodeId);
        break;
      case 'networks':
        this.#networks.add(id as NetworkId);
        break;
      case 'services':
        this.#services.add(id as ServiceId);
        break;
      case 'endpoints':
        this.#endpoints.add(id as TaskId);
        break;
    }
  }

  /** All of it, which then counts as said. */
  take(): Dirty {
    const taken: Dirty = {
      self: this.#self,
      tasks: this.#tasks,
      peers: this.#peers,
      networks: this.#networks,
      services: this.#services,
      endpoints: this.#endpoints,
    };
    this.#self = false;
    this.#tasks = new Set();
    this.#peers = new Set();
    this.#networks = new Set();
    this.#services = new Set();
    this.#endpoints = new Set();
    this.#since = undefined;
    return taken;
  }
}
