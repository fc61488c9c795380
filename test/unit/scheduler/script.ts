import type { NodeId, ServiceId, TaskId } from '#proto/types/ids.ts';
import type { Node, Revision, Task } from '#proto/types/objects.ts';
import type { LabelMap, PortConfig, TaskSpec } from '#proto/types/specs.ts';
import { type DesiredState, TaskState } from '#proto/types/states.ts';
import { place } from '#scheduler/place.ts';

/*
 * Placement as a script that people can read. Commands up to `----`, then what they print, then an empty line; nodes and
 * tasks stay from block to block.
 *
 *   node NAME [key=value …]        a node, or what changed about it; node NAME gone
 *   run SERVICE NODE [n=1] …       tasks that are there already; state=failed, desired=shutdown, ago-s=…
 *   place SERVICE [n=1] …          tasks that wait for a node; slot=, on=NODE (a global service), v= (spec version)
 *
 * Tasks ask for cpu=, memory=, KIND= (generic), constraint=, platform=os/arch, host-port=tcp/80, max=, spread=LABEL.
 */

const NOW_MS = 1_700_000_000_000;
const LISTS = ['constraint', 'platform', 'host-port', 'spread', 'label', 'engine-label'];
const PLAIN = ['n', 'slot', 'v', 'on', 'state', 'desired', 'ago-s', 'max', 'cpu', 'memory', ...LISTS];

type Words = ReadonlyMap<string, readonly string[]>;

export class Script {
  readonly #nodes = new Map<string, Node>();
  readonly #tasks: Task[] = [];
  readonly #revisions = new Map<string, Revision>();

  /** Runs the commands of one block and gives back what they print. */
  run(commands: string): string {
    return commands
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => this.#command(line))
      .filter((output) => output !== '')
      .join('\n');
  }

  #command(line: string): string {
    const [command, name, ...rest] = line.match(/(?:[^\s"]|"[^"]*")+/g) as [string, string, ...string[]];
    const words = Map.groupBy(
      rest.map((word) => word.replaceAll('"', '')),
      (word) => word.split('=')[0] as string,
    );
    const values: Words = new Map(
      [...words].map(([key, all]) => [key, all.map((word) => word.slice(key.length + 1))]),
    );
    if (command === 'node') this.#node(name, values);
    else if (command === 'run') this.#run(name, rest[0] as string, values);
    else if (command === 'place') return this.#place(name, values);
    else throw new Error(`unknown command: ${line}`);
    return '';
  }

  #node(name: string, words: Words): void {
    if (words.has('gone')) return void this.#nodes.delete(name);
    this.#nodes.set(name, nodeOf(name, words));
  }

  #run(service: string, nodeName: string, words: Words): void {
    const nodeId = nodeName as NodeId;
    for (const task of this.#make(service, words)) this.#tasks.push({ ...task, nodeId });
  }

  #place(service: string, words: Words): string {
    const on = words.get('on')?.[0];
    for (const task of this.#make(service, words)) {
      this.#tasks.push({
        ...task,
        status: { ...task.status, state: TaskState.Pending },
        ...(on === undefined ? {} : { nodeId: on as NodeId, slot: 0 }),
      });
    }
    const { placed, waiting } = place(this.#facts(), NOW_MS);
    for (const { task, nodeId } of placed) this.#assign(task, nodeId);
    const lines = [
      ...placed.map(({ task, nodeId }) => `${nameOf(task)} -> ${nodeId}`),
      ...waiting.map(({ task, reason }) => `${nameOf(task)} waits: ${reason}`),
    ];
    return lines.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).join('\n');
  }

  #assign(task: Task, nodeId: NodeId): void {
    const at = this.#tasks.indexOf(task);
    this.#tasks[at] = { ...task, nodeId, status: { ...task.status, state: TaskState.Running } };
  }

  #facts(): Parameters<typeof place>[0] {
    return {
      version: 1,
      nodes: { all: () => this.#nodes.values() },
      tasks: {
        byService: (id) => this.#tasks.filter(({ serviceId }) => serviceId === id),
        unsettled: () => this.#tasks,
        revisions: () => this.#tasks,
        glance: (id, see) => {
          for (const task of this.#tasks)
            if (task.serviceId === id) see({ ...task, state: task.status.state });
        },
      },
      revision: (serviceId, specVersion) => this.#revisions.get(`${serviceId}/${specVersion}`),
    };
  }

  #make(service: string, words: Words): Task[] {
    const specVersion = Number(words.get('v')?.[0] ?? 1);
    const key = `${service}/${specVersion}`;
    if (!this.#revisions.has(key)) this.#revisions.set(key, revisionOf(service, specVersion, words));
    const first = Number(
      words.get('slot')?.[0] ?? this.#tasks.filter((t) => t.serviceId === service).length + 1,
    );
    const count = Number(words.get('n')?.[0] ?? 1);
    return Array.from({ length: count }, (_, index) =>
      taskOf(service, specVersion, first + index, this.#tasks.length + index, words),
    );
  }
}

function nameOf(task: Task): string {
  return `${task.serviceId}.${task.slot === 0 ? task.nodeId : task.slot}`;
}

function nodeOf(name: string, words: Words): Node {
  const word = (key: string, otherwise: string): string => words.get(key)?.[0] ?? otherwise;
  const [os, architecture] = word('platform', 'linux/x86_64').split('/') as [string, string];
  return {
    id: name as NodeId,
    ...stored(0),
    role: word('role', 'worker') as Node['role'],
    spec: {
      role: 'worker',
      availability: word('availability', 'active') as Node['spec']['availability'],
      labels: labels(words.get('label')),
    },
    status: { state: word('state', 'ready') as Node['status']['state'] },
    description: {
      hostname: name,
      platform: { os, architecture },
      resources: {
        nanoCpus: Number(word('cpu', '8')) * 1e9,
        memoryBytes: Number(word('memory', '8000')),
        generic: generics(words),
      },
      engine: { version: '1', labels: labels(words.get('engine-label')) },
      peerAddr: '',
      dataPathAddr: '',
    },
  };
}

function generics(words: Words): { kind: string; count: number }[] {
  const known = [...PLAIN, 'platform', 'role', 'availability', 'gone'];
  return [...words]
    .filter(([kind, [count]]) => !known.includes(kind) && Number(count) > 0)
    .map(([kind, [count]]) => ({ kind, count: Number(count) }));
}

function labels(pairs: readonly string[] = []): LabelMap {
  return Object.fromEntries(pairs.map((pair) => pair.split(':') as [string, string]));
}

function revisionOf(service: string, specVersion: number, words: Words): Revision {
  const reservations = {
    nanoCpus: Number(words.get('cpu')?.[0] ?? 0) * 1e9,
    memoryBytes: Number(words.get('memory')?.[0] ?? 0),
    generic: generics(words),
  };
  const placement: TaskSpec['placement'] = {
    constraints: words.get('constraint') ?? [],
    preferences: words.get('spread') ?? [],
    maxReplicas: Number(words.get('max')?.[0] ?? 0),
    platforms: (words.get('platform') ?? []).map((text) => {
      const [os = '', architecture = ''] = text.split('/');
      return { os, architecture };
    }),
  };
  return {
    ...stored(0),
    serviceId: service as ServiceId,
    specVersion,
    serviceName: service,
    task: { container: { image: 'image' }, resources: { reservations }, placement },
    ports: (words.get('host-port') ?? []).map(hostPort),
  };
}

function hostPort(text: string): PortConfig {
  const [protocol, port] = text.split('/');
  return {
    protocol: protocol as PortConfig['protocol'],
    targetPort: 80,
    publishedPort: Number(port),
    publishMode: 'host',
  };
}

function taskOf(service: string, specVersion: number, slot: number, serial: number, words: Words): Task {
  const state = words.get('state')?.[0] ?? 'Running';
  const desired = words.get('desired')?.[0] ?? 'Running';
  const atMs = NOW_MS - Number(words.get('ago-s')?.[0] ?? 0) * 1_000;
  return {
    id: `${service}-${String(serial).padStart(6, '0')}` as TaskId,
    ...stored(atMs),
    serviceId: service as ServiceId,
    specVersion,
    slot,
    desired: TaskState[desired as keyof typeof TaskState] as DesiredState,
    status: { state: TaskState[state as keyof typeof TaskState], atMs, message: '' },
    networks: [],
  };
}

function stored(atMs: number): { version: number; createdAtMs: number; updatedAtMs: number } {
  return { version: 1, createdAtMs: atMs, updatedAtMs: atMs };
}
