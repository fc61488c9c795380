import test from 'ava';
import { assert } from '#proto/base/assert.ts';
import { messageOf } from '#proto/base/errors.ts';
import { type Random, randomInt, seededRandom } from '#proto/base/random.ts';
import type { ServiceId } from '#proto/types/ids.ts';
import type { Service } from '#proto/types/objects.ts';
import type { PortConfig, UpdateConfig } from '#proto/types/specs.ts';
import { TaskState } from '#proto/types/states.ts';
import { isDead, slotKeyOf } from '#scheduler/slots.ts';
import { alwaysHolds } from '../leader/invariants.ts';
import { clusterRow, networkRow } from '../leader/rows.ts';
import { type Fate, World } from '../leader/world.ts';

/** SHOAL_SEED=n replays one history, SHOAL_SEEDS=n runs the first n. */
const { SHOAL_SEED, SHOAL_SEEDS = '40' } = process.env;
const SEEDS = SHOAL_SEED
  ? [Number(SHOAL_SEED)]
  : Array.from({ length: Number(SHOAL_SEEDS) }, (_, i) => i + 1);
const EVENTS = 60;
const NODES = ['a', 'b', 'c', 'd'];
const HOUR_MS = 3_600_000;

for (const seed of SEEDS) {
  test(`histories: whatever happens, the cluster comes to what is wanted (seed ${seed})`, (t) => {
    try {
      new History(seed).run();
      t.pass();
    } catch (error) {
      t.fail(
        `replay with SHOAL_SEED=${seed}: ${messageOf(error)}\n${error instanceof Error ? error.stack : ''}`,
      );
    }
  });
}

/** A cluster to which things happen, in an order that one number decides. */
class History {
  readonly #random: Random;
  readonly #world = new World();
  readonly #services: ServiceId[] = [];
  #made = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  run(): void {
    const world = this.#world;
    world.invariant = alwaysHolds;
    world.destiny = () => this.#oneOf([...Array<Fate>(12).fill('works'), 'fails', 'fails', 'hangs']);
    const cluster = clusterRow();
    const spec = { ...cluster.spec, taskHistoryPerSlot: randomInt(this.#random, 6) };
    world.commit([{ kind: 'putCluster', cluster: { ...cluster, spec } }]);
    world.commit([{ kind: 'putNetwork', network: networkRow('back') }]);
    for (const name of NODES) world.node(name, { labels: { zone: 'x' } });
    for (let event = 0; event < EVENTS; event++) {
      this.#happen();
      this.#goOn();
    }
    this.#calmDown();
    this.#checkAll();
  }

  #happen(): void {
    const what = this.#oneOf([
      'create',
      'create',
      'image',
      'image',
      'scale',
      'scale',
      'remove',
      'end',
      'end',
      'end',
      'down',
      'ready',
      'unknown',
      'drain',
      'pause',
      'active',
      'label',
      'replace node',
      'placement',
      'resume',
    ] as const);
    const node = this.#oneOf(NODES);
    const service = this.#services.length === 0 ? undefined : this.#oneOf(this.#services);
    if (what === 'create') this.#create();
    else if (what === 'down' || what === 'ready' || what === 'unknown') this.#world.nodeState(node, what);
    else if (what === 'drain' || what === 'pause' || what === 'active')
      this.#world.node(node, { availability: what });
    else if (what === 'label') this.#world.node(node, { labels: { zone: this.#oneOf(['x', 'y']) } });
    else if (what === 'replace node') this.#replaceNode(node);
    else if (service !== undefined) this.#happenTo(service, what);
  }

  #happenTo(id: ServiceId, what: 'image' | 'scale' | 'remove' | 'end' | 'placement' | 'resume'): void {
    const world = this.#world;
    const { mode } = world.get(id).spec;
    if (what === 'image') world.image(id, `image:${randomInt(this.#random, 4)}`);
    else if (what === 'scale' && mode.kind === 'replicated') world.scale(id, randomInt(this.#random, 7));
    else if (what === 'placement') {
      const constraints = this.#oneOf([[], ['node.labels.zone == x'], ['node.hostname != a']]);
      world.template(id, { placement: { constraints } });
    } else if (what === 'resume') this.#resume(id);
    else if (what === 'remove') {
      world.removeService(id);
      this.#services.splice(this.#services.indexOf(id), 1);
    } else if (what === 'end') this.#end(id);
  }

  #create(): void {
    if (this.#services.length > 4) return;
    const update: UpdateConfig = {
      parallelism: randomInt(this.#random, 4),
      order: this.#oneOf(['stop-first', 'start-first']),
      failureAction: this.#oneOf(['pause', 'continue', 'rollback']),
      maxFailureRatio: this.#oneOf([0, 0.3]),
      delayNs: this.#oneOf([0, 2e9]),
    };
    const port: PortConfig = { protocol: 'tcp', targetPort: 80, publishMode: 'ingress' };
    const id = this.#world.service(`s${this.#made++}`, {
      mode: this.#oneOf([{ kind: 'replicated', replicas: randomInt(this.#random, 7) }, { kind: 'global' }]),
      task: {
        container: { image: 'image:0' },
        networks: this.#oneOf([[], [{ target: 'net-back' }]]),
        restart: { delayNs: this.#oneOf([0, 1e9, 5e9]) },
        resources: { reservations: { memoryBytes: this.#oneOf([0, 5e7]) } },
      },
      update,
      rollback: {
        parallelism: randomInt(this.#random, 3),
        order: this.#oneOf(['stop-first', 'start-first']),
      },
      endpoint: { ports: this.#oneOf([[], [port]]) },
    });
    this.#services.push(id);
  }

  #end(id: ServiceId): void {
    const running = this.#world.running(id);
    if (running.length === 0) return;
    const state = this.#oneOf([TaskState.Failed, TaskState.Complete]);
    this.#world.report(this.#oneOf(running), { state });
  }

  /** As an operator does with a paused update. */
  #resume(id: ServiceId): void {
    const { update } = this.#world.get(id);
    if (update?.state !== 'paused' && update?.state !== 'rollback_paused') return;
    const state = update.state === 'paused' ? 'updating' : 'rollback_started';
    const resumed = {
      ...update,
      state,
      startedAtMs: this.#world.nowMs,
      message: 'update in progress',
    } as const;
    this.#world.commit([{ kind: 'setUpdateStatus', serviceId: id, update: resumed }]);
  }

  #replaceNode(name: string): void {
    this.#world.nodeState(name, 'down');
    this.#world.removeNode(name);
    this.#world.look();
    this.#world.node(name, { labels: { zone: 'x' } });
  }

  /** A little of everything that goes on by itself. */
  #goOn(): void {
    for (let steps = randomInt(this.#random, 6); steps > 0; steps--) {
      const what = this.#oneOf(['look', 'agents', 'agents', 'time'] as const);
      if (what === 'look') this.#world.look();
      else if (what === 'agents') this.#world.agentsStep();
      else this.#world.nowMs += randomInt(this.#random, 8_000);
    }
  }

  /** Everything heals, and time passes. */
  #calmDown(): void {
    const world = this.#world;
    world.destiny = () => 'works';
    for (const name of NODES) {
      world.node(name, { availability: 'active', labels: { zone: 'x' } });
      world.nodeState(name, 'ready');
    }
    world.advance(HOUR_MS);
    for (const id of this.#services) this.#resume(id);
    world.advance(HOUR_MS);
  }

  #checkAll(): void {
    const world = this.#world;
    assert(world.look().length === 0, 'there is nothing left to plan');
    assert(world.view.services.size === this.#services.length, 'removed services are gone');
    for (const id of this.#services) this.#check(world.get(id));
    const over = [...world.view.tasks.all()].filter((task) => !this.#services.includes(task.serviceId));
    assert(over.length === 0, 'tasks of removed services are gone');
  }

  #check({ id, spec, update }: Service): void {
    const world = this.#world;
    const alive = world.tasks(id).filter((task) => !isDead(task));
    const wanted =
      spec.mode.kind === 'replicated' ? spec.mode.replicas : this.#suitable(spec.task.placement?.constraints);
    const picture = `${JSON.stringify(spec)} ${JSON.stringify(update)}: ${world.picture(id)}`;
    assert(alive.length === wanted, `${alive.length} tasks of ${wanted} are there: ${picture}`);
    assert(world.running(id).length === wanted, `not all run: ${picture}`);
    assert(new Set(alive.map(slotKeyOf)).size === wanted, `one in each slot: ${picture}`);
    assert(
      alive.every((task) => world.imageOf(task) === spec.task.container.image),
      `all run what is wanted: ${picture}`,
    );
    assert(
      update === undefined ||
        update.targetVersion !== world.get(id).specVersion ||
        update.state.endsWith('completed'),
      `the update is over: ${picture}`,
    );
  }

  #suitable(constraints: readonly string[] = []): number {
    return constraints.includes('node.hostname != a') ? NODES.length - 1 : NODES.length;
  }

  #oneOf<T>(items: readonly T[]): T {
    return items[randomInt(this.#random, items.length)] as T;
  }
}
