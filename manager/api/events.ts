import type { Clock } from '#proto/base/clock.ts';
import { LIMITS } from '#proto/base/limits.ts';
import type { Node, Service } from '#proto/types/objects.ts';
import type { ServiceMode } from '#proto/types/specs.ts';
import type { EventBatch, Store, StoreEvent } from '../store/view.ts';

/** Something that happened to the cluster, as GET /events tells it (scope `swarm`). */
export interface ClusterEvent {
  readonly type: 'service' | 'node' | 'network';
  readonly action: 'create' | 'update' | 'remove';
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** When this manager learned of it. */
  readonly timeNs: bigint;
}

export interface ClusterEventsModules {
  readonly store: Pick<Store, 'subscribe'>;
  readonly clock: Pick<Clock, 'wallMs'>;
}

/** Tells what happens to the cluster while this node is a manager, and keeps the last of it. */
export class ClusterEvents implements Disposable {
  readonly #clock: Pick<Clock, 'wallMs'>;
  readonly #unsubscribe: () => void;
  readonly #kept: ClusterEvent[] = [];
  readonly #listeners = new Set<(event: ClusterEvent) => void>();
  #lastNs = 0n;

  constructor({ store, clock }: ClusterEventsModules) {
    this.#clock = clock;
    this.#unsubscribe = store.subscribe((batch) => this.#take(batch));
  }

  /** Calls back for every event from now on; the returned function ends it. */
  on(listener: (event: ClusterEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The events that are still known and not older than this. */
  since(fromNs: bigint): ClusterEvent[] {
    return this.#kept.filter(({ timeNs }) => timeNs >= fromNs);
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
    this.#listeners.clear();
  }

  #take({ events }: EventBatch): void {
    for (const happened of events) {
      const told = toldOf(happened);
      if (told !== undefined) this.#tell({ ...told, timeNs: this.#nextNs() });
    }
  }

  #tell(event: ClusterEvent): void {
    this.#kept.push(event);
    if (this.#kept.length > LIMITS.eventsKept) this.#kept.shift();
    for (const listener of [...this.#listeners]) listener(event);
  }

  /** Every event has a time of its own, so that "since" never tells one twice. */
  #nextNs(): bigint {
    const now = BigInt(Math.floor(this.#clock.wallMs() * 1000)) * 1000n;
    this.#lastNs = now > this.#lastNs ? now : this.#lastNs + 1n;
    return this.#lastNs;
  }
}

type Told = Omit<ClusterEvent, 'timeNs'>;

function toldOf(event: StoreEvent): Told | undefined {
  switch (event.table) {
    case 'service':
      return told(
        'service',
        event,
        nameAndChanges(event, ({ spec }) => spec.name, serviceFacts),
      );
    case 'network':
      return told(
        'network',
        event,
        nameAndChanges(
          event,
          ({ spec }) => spec.name,
          () => ({}),
        ),
      );
    case 'node':
      return told('node', event, nameAndChanges(event, nodeName, nodeFacts));
    default:
      return undefined;
  }
}

interface Rows<Row> {
  readonly id: string;
  readonly row?: Row;
  readonly previous?: Row;
}

/** What is asked to go is gone for those who listen; that it is cleared away later is no news. */
function told<Row extends { readonly pendingDelete?: boolean } | Node>(
  type: Told['type'],
  { id, row, previous }: Rows<Row>,
  attributes: Readonly<Record<string, string>>,
): Told | undefined {
  const is = isThere(row);
  const was = isThere(previous);
  if (!is && !was) return undefined;
  const action = !was ? 'create' : is ? 'update' : 'remove';
  return { type, action, id, attributes };
}

function isThere(row: { readonly pendingDelete?: boolean } | Node | undefined): boolean {
  return row !== undefined && !('pendingDelete' in row && row.pendingDelete);
}

/** The name, and for what has changed how it was and is: `replicas.old`, `replicas.new`. */
function nameAndChanges<Row>(
  { row, previous }: Rows<Row>,
  nameOf: (row: Row) => string,
  factsOf: (row: Row) => Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const present = row ?? previous;
  const attributes: Record<string, string> = present === undefined ? {} : { name: nameOf(present) };
  if (row === undefined || previous === undefined) return attributes;
  const before = factsOf(previous);
  for (const [key, now] of Object.entries(factsOf(row))) {
    const old = before[key];
    if (now === old) continue;
    if (old !== undefined) attributes[`${key}.old`] = old;
    if (now !== undefined) attributes[`${key}.new`] = now;
  }
  return attributes;
}

function serviceFacts({ spec, update }: Service): Record<string, string | undefined> {
  return {
    image: spec.task.container.image,
    replicas: replicasOf(spec.mode),
    updatestate: update?.state,
  };
}

function replicasOf(mode: ServiceMode): string | undefined {
  return mode.kind === 'replicated' ? String(mode.replicas) : undefined;
}

function nodeName({ spec, description }: Node): string {
  return spec.name || description?.hostname || '';
}

function nodeFacts({ spec, status, manager }: Node): Record<string, string | undefined> {
  return {
    availability: spec.availability,
    role: spec.role,
    state: status.state,
    leader: manager === undefined ? undefined : String(manager.leader ?? false),
    reachability: manager?.reachability,
  };
}
