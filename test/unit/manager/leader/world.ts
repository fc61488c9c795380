import { failedWith, movedTo } from '#agent/task/status.ts';
import { nextStep } from '#agent/task/step.ts';
import { Alarms } from '#manager/leader/alarms.ts';
import type { Situation } from '#manager/leader/controller.ts';
import { CONTROLLERS } from '#manager/leader/controllers.ts';
import { type Look, lookAround } from '#manager/leader/look.ts';
import { LEADER_LOOP_OPTS } from '#manager/leader/loop.ts';
import { Standing } from '#manager/leader/standing.ts';
import { Wakes } from '#manager/leader/wakes.ts';
import { applyTransaction } from '#manager/store/apply/transaction.ts';
import type { Change } from '#manager/store/changes.ts';
import { Tables } from '#manager/store/tables.ts';
import { TablesDraft, TablesView } from '#manager/store/tables-view.ts';
import type { StoreView } from '#manager/store/view.ts';
import { assert } from '#proto/base/assert.ts';
import type { NodeId, ServiceId } from '#proto/types/ids.ts';
import type { Node, Service, Task, TaskStatus } from '#proto/types/objects.ts';
import type { NodeSpec, ServiceSpec, TaskSpec } from '#proto/types/specs.ts';
import { isTerminal, TaskState } from '#proto/types/states.ts';
import { clusterRow, networkRow, nodeRow } from './rows.ts';
import { checkStanding } from './standing.ts';

/** What becomes of a task at a step that its agent takes; nothing said: it works. */
export type Fate = 'works' | 'fails' | 'completes' | 'hangs';
export type Destiny = (task: Task, spec: TaskSpec, step: 'prepare' | 'start' | 'run' | 'stop') => Fate;

const INGRESS = { ingress: true, ipam: { configs: [{ subnet: '10.0.0.0/24' }] } };
const RELEASE_WAIT_MS = 20_000;
const LOOKS_MAX = 200;

/**
 * A cluster without machines: the real store, the real controllers, and agents that move tasks along by the agent's own
 * rules, one step at a time. Time stands still unless it is moved.
 */
export class World {
  nowMs = 1_700_000_000_000;
  destiny: Destiny = () => 'works';
  /** Called after every commit: what must always hold. */
  invariant: (view: StoreView) => void = () => undefined;
  /** Nodes that do not say how far their network is. */
  readonly mute = new Set<NodeId>();
  readonly #tables = new Tables();
  readonly #wakes = new Wakes(new Set(CONTROLLERS.flatMap(({ wakesOn }) => wakesOn)));
  #version = 1;
  readonly #alarms = new Alarms();
  readonly #standing = new Standing((id, version) => this.view.revision(id, version));

  constructor() {
    while (this.#standing.count(this.view));
    this.commit([
      { kind: 'putCluster', cluster: clusterRow() },
      { kind: 'putNetwork', network: networkRow('ingress', INGRESS) },
      { kind: 'putNetwork', network: networkRow('host', { driver: 'host' }) },
    ]);
  }

  get view(): StoreView {
    return new TablesView(this.#tables.copy(), this.#version);
  }

  get wakeAtMs(): number {
    return this.#alarms.nextAtMs;
  }

  commit(changes: readonly Change[]): void {
    if (changes.length === 0) return;
    this.#version++;
    const outcome = applyTransaction(this.#tables, { atMs: this.nowMs, expects: [], changes }, this.#version);
    assert('events' in outcome, 'a change of the test is refused');
    this.#wakes.note({ version: this.#version, events: outcome.events });
    this.#standing.note({ version: this.#version, events: outcome.events });
    this.invariant(this.view);
  }

  // What users and machines do.

  node(name: string, spec: Partial<NodeSpec> = {}, more: Partial<Node> = {}): NodeId {
    const known = this.view.nodes.get(name as NodeId);
    this.commit([
      { kind: 'putNode', node: { ...nodeRow(name, spec), ...known, ...more, ...maybeSpec(known, spec) } },
    ]);
    return name as NodeId;
  }

  nodeState(name: string, state: Node['status']['state']): void {
    const nodeId = name as NodeId;
    this.commit([{ kind: 'setNodeStatus', nodeId, status: { state, sinceMs: this.nowMs } }]);
  }

  removeNode(name: string): void {
    this.commit([{ kind: 'delete', table: 'node', id: name }]);
  }

  service(name: string, spec: Partial<ServiceSpec> = {}): ServiceId {
    const id = `service-${name}` as ServiceId;
    const known = this.view.services.get(id)?.spec;
    const first: ServiceSpec = {
      name,
      task: { container: { image: `${name}:1` } },
      mode: { kind: 'replicated', replicas: 1 },
    };
    this.commit([{ kind: 'putService', service: { id, spec: { ...(known ?? first), ...spec } } }]);
    return id;
  }

  /** Changes the task template of a service. */
  template(id: ServiceId, change: Partial<TaskSpec>): void {
    const service = this.get(id);
    this.service(service.spec.name, { task: { ...service.spec.task, ...change } });
  }

  image(id: ServiceId, image: string): void {
    this.template(id, { container: { ...this.get(id).spec.task.container, image } });
  }

  scale(id: ServiceId, replicas: number): void {
    this.service(this.get(id).spec.name, { mode: { kind: 'replicated', replicas } });
  }

  removeService(id: ServiceId): void {
    this.commit([{ kind: 'putService', service: { id, spec: this.get(id).spec, pendingDelete: true } }]);
  }

  // What is there.

  get(id: ServiceId): Service {
    const service = this.view.services.get(id);
    assert(service !== undefined, `no service ${id}`);
    return service;
  }

  tasks(id: ServiceId): readonly Task[] {
    return this.view.tasks.byService(id);
  }

  running(id: ServiceId): Task[] {
    return this.tasks(id).filter(
      (task) => task.status.state === TaskState.Running && task.desired === TaskState.Running,
    );
  }

  /** What a service runs, slot by slot: `1:web:2@a`. */
  picture(id: ServiceId): string {
    return this.running(id)
      .map((task) => `${task.slot === 0 ? '' : `${task.slot}:`}${this.imageOf(task)}@${task.nodeId}`)
      .sort()
      .join(' ');
  }

  imageOf(task: Task): string {
    const revision = this.view.revision(task.serviceId, task.specVersion);
    assert(revision !== undefined, `the revision of task ${task.id} is there`);
    return revision.task.container.image;
  }

  report(task: Task, status: Partial<TaskStatus> & Pick<TaskStatus, 'state'>): void {
    const full = { ...task.status, atMs: this.nowMs, message: 'reported', ...status };
    this.commit([{ kind: 'setTaskStatus', taskId: task.id, status: full }]);
  }

  // What goes on.

  /** Controllers only: as many entries as it takes. Gives back what was planned. */
  look(): Change[] {
    const all: Change[] = [];
    for (let looks = 0; looks < LOOKS_MAX; looks++) {
      const due = this.#alarms.take(this.nowMs);
      if (due === undefined) this.#wakes.wakeForEverything();
      else this.#wakes.wakeForServices(due);
      const wake = this.#wakes.take(this.view);
      const { changes, wakeAtMs } = this.#lookOnce({ ...wake, known: this.#standing });
      if (wake.services === undefined) this.#alarms.setForEverything(wakeAtMs);
      else this.#alarms.setForServices(wake.services, wakeAtMs);
      if (wake.nodes !== undefined) this.#alarms.addForEverything(wakeAtMs);
      this.commit(changes);
      all.push(...changes);
      if (changes.length > 0) continue;
      // What the loop would have left out is looked at here, and must come to nothing.
      const missed = this.#lookOnce({});
      assert(missed.changes.length === 0, `a look at some missed ${JSON.stringify(missed.changes)}`);
      assert(missed.wakeAtMs >= this.wakeAtMs, 'a time to wake was missed');
      checkStanding(this.#standing, this.view);
      return all;
    }
    throw new Error('looking around comes to no end');
  }

  #lookOnce(what: Pick<Situation, 'services' | 'nodes' | 'known'>): Look {
    const draft = new TablesDraft(this.#tables.copy(), this.#version, this.nowMs);
    const situation = {
      nowMs: this.nowMs,
      networkReady: this.#networkReady(),
      ...what,
    };
    const look = lookAround(LEADER_LOOP_OPTS, draft, situation, (name, error) => {
      throw new Error(`controller ${name} failed`, { cause: error });
    });
    assert(look.settled, 'plans come to rest');
    const rolledBack = new Set<ServiceId>();
    for (const change of look.changes) {
      if (change.kind === 'rollBackService') rolledBack.add(change.serviceId);
      const early = change.kind === 'setUpdateStatus' && rolledBack.has(change.serviceId);
      assert(!early, 'a version that only a draft knows is not written');
    }
    return look;
  }

  /** Every agent takes one step with each of its tasks; false when none had any to take. */
  agentsStep(): boolean {
    const changes = [...this.view.tasks.all()].flatMap((task) => this.#agentStep(task));
    this.commit(changes);
    return changes.length > 0;
  }

  /** Until nothing happens any more at this time. */
  settle(): void {
    for (let steps = 0; steps < LOOKS_MAX; steps++) {
      this.look();
      if (!this.agentsStep() && this.look().length === 0) return;
    }
    throw new Error('the cluster comes to no rest');
  }

  /** Moves time on, looking only when somebody wanted to. */
  advance(ms: number): void {
    const untilMs = this.nowMs + ms;
    this.settle();
    while (this.wakeAtMs <= untilMs) {
      assert(this.wakeAtMs > this.nowMs, 'a time to wake lies ahead');
      this.nowMs = this.wakeAtMs;
      this.settle();
    }
    this.nowMs = untilMs;
  }

  #agentStep(task: Task): Change[] {
    const node = task.nodeId === undefined ? undefined : this.view.nodes.get(task.nodeId);
    if (node === undefined || node.status.state === 'down') return [];
    if (task.status.state < TaskState.Assigned || isTerminal(task.status.state)) return [];
    const status = this.#nextStatus(task);
    return status === undefined ? [] : [{ kind: 'setTaskStatus', taskId: task.id, status }];
  }

  #nextStatus(task: Task): TaskStatus | undefined {
    const { status, desired, released = false } = task;
    const step = nextStep({
      observed: status.state,
      task: { desired, released },
      leavingSinceMs: task.updatedAtMs,
      releaseWaitMs: RELEASE_WAIT_MS,
      nowMs: this.nowMs,
    });
    if (step.kind === 'rest') return undefined;
    if (step.kind === 'mark') return movedTo(status, step.to, this.nowMs);
    const kinds = {
      prepare: 'prepare',
      start: 'start',
      wait: 'run',
      leave: 'stop',
      shutdown: 'stop',
    } as const;
    const spec = this.view.revision(task.serviceId, task.specVersion)?.task as TaskSpec;
    const fate = this.destiny(task, spec, kinds[step.action]);
    if (fate === 'hangs' || (fate === 'works' && step.action === 'wait')) return undefined;
    if (fate === 'fails') return failedWith(status, 'task: non-zero exit (1)', this.nowMs);
    return movedTo(status, step.to, this.nowMs);
  }

  #networkReady(): ReadonlyMap<NodeId, number> {
    const talking = [...this.view.nodes.all()].filter(({ id, status }) => {
      return status.state === 'ready' && !this.mute.has(id);
    });
    return new Map(talking.map(({ id }) => [id, this.#version]));
  }
}

function maybeSpec(known: Node | undefined, spec: Partial<NodeSpec>): Partial<Node> {
  return known === undefined ? {} : { spec: { ...known.spec, ...spec } };
}
