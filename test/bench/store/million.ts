import type { Change } from '#manager/store/changes.ts';
import type { Store } from '#manager/store/view.ts';
import { type Random, randomInt, seededRandom } from '#proto/base/random.ts';
import { deriveTaskId, type NodeId, newId, type ServiceId, type TaskId } from '#proto/types/ids.ts';
import type { TaskStatus } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';

const NODES = 10_000;
const SERVICES = 1_000;
/** As managers write what they heard of: an entry must not hold up the loop. */
export const CHANGES_IN_WRITE = 500;
const WRITES_IN_FLIGHT = 4;
const MADE_AT_MS = 1_700_000_000_000;

/** What a large cluster has in its store: names are the same in every process. */
export class Million {
  readonly #random: Random = seededRandom(1);
  readonly #nodes = Array.from({ length: NODES }, () => newId<'node'>(this.#random));
  readonly #services = Array.from({ length: SERVICES }, () => newId<'service'>(this.#random));
  readonly #network = newId<'network'>(this.#random);

  /** Makes so many tasks, a multiple of the services, each on its node, with an address, running. */
  async fill(store: Store, tasks: number): Promise<void> {
    await write(store, NODES, (number) => this.#node(number));
    await write(store, SERVICES, (number) => this.#service(number, tasks / SERVICES));
    await write(store, tasks, (number) => this.#task(number));
    await write(store, tasks, (number) => this.#addresses(number));
    await write(store, tasks, (number) => this.status(number, 0));
  }

  /** A status update of a task; those of one task differ by their serial. */
  status(number: number, serial: number): Change {
    const status: TaskStatus = {
      state: TaskState.Running,
      atMs: MADE_AT_MS + serial,
      message: 'started',
      startedAtMs: MADE_AT_MS,
      container: { id: containerId(number), pid: 1 + (number % 60_000) },
    };
    return { kind: 'setTaskStatus', taskId: this.#taskId(number), status };
  }

  /** Updates of random tasks, one write's worth. */
  updates(random: Random, tasks: number, serial: number): Change[] {
    return Array.from({ length: CHANGES_IN_WRITE }, (_, i) =>
      this.status(randomInt(random, tasks), serial + i),
    );
  }

  #taskId(number: number): TaskId {
    return deriveTaskId(this.#serviceOf(number), 0, Math.floor(number / SERVICES));
  }

  #serviceOf(number: number): ServiceId {
    return this.#services[number % SERVICES] as ServiceId;
  }

  #node(number: number): Change {
    const id = this.#nodes[number] as NodeId;
    const addr = `10.${number >> 8}.${number & 255}.1`;
    return {
      kind: 'putNode',
      node: {
        id,
        spec: { role: 'worker', availability: 'active' },
        role: 'worker',
        status: { state: 'ready', addr },
        description: {
          hostname: `node-${number}`,
          platform: { architecture: 'x86_64', os: 'linux' },
          resources: { nanoCpus: 8_000_000_000, memoryBytes: 32 * 2 ** 30 },
          engine: { version: '1.0.0' },
          peerAddr: `${addr}:7947`,
          dataPathAddr: addr,
        },
      },
    };
  }

  #service(number: number, replicas: number): Change {
    const image = `registry.example/team/app-${number}@sha256:${containerId(number)}`;
    const spec = {
      name: `service-${number}`,
      task: { container: { image, env: ['MODE=production', `NUMBER=${number}`] } },
      mode: { kind: 'replicated', replicas },
    } as const;
    return { kind: 'putService', service: { id: this.#serviceOf(number), spec } };
  }

  #task(number: number): Change {
    const serviceId = this.#serviceOf(number);
    const nodeId = this.#nodes[number % NODES] as NodeId;
    const slot = 1 + Math.floor(number / SERVICES);
    return { kind: 'createTask', serviceId, slot, nodeId, desired: TaskState.Running };
  }

  #addresses(number: number): Change {
    const addresses = [`10.${number >> 16}.${(number >> 8) & 255}.${number & 255}/8`];
    return {
      kind: 'allocateTask',
      taskId: this.#taskId(number),
      networks: [{ networkId: this.#network, addresses }],
    };
  }
}

/** Sixty-four hexadecimal digits that are different for each. */
function containerId(number: number): string {
  return (Math.imul(number + 1, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0').repeat(8);
}

/** Writes a change for each number, some writes at a time. */
async function write(store: Store, count: number, changeOf: (number: number) => Change): Promise<void> {
  const underWay: Promise<number>[] = [];
  for (let from = 0; from < count; from += CHANGES_IN_WRITE) {
    const length = Math.min(CHANGES_IN_WRITE, count - from);
    const changes = Array.from({ length }, (_, i) => changeOf(from + i));
    underWay.push(store.update({ changes }));
    if (underWay.length === WRITES_IN_FLIGHT) await underWay.shift();
  }
  await Promise.all(underWay);
}
