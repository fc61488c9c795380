import type { Clock } from '#proto/base/clock.ts';
import type { Network, Node, Service } from '#proto/types/objects.ts';
import type { ServiceMode } from '#proto/types/specs.ts';
import { PREDEFINED_LABEL } from '../leader/bootstrap.ts';
import type { EventBatch, Store, StoreEvent } from '../store/view.ts';

/** Something that happened to the cluster, as GET /events tells it (scope `swarm`). */
export interface ClusterEvent {
  readonly type: 'service' | 'node' | 'network';
  readonly action: 'create' | 'update' | 'remove';
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
}

export interface ClusterEventsModules {
  readonly store: Pick<Store, 'subscribe' | 'readBarrier'>;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly tell: (event: ClusterEvent) => void;
}

const RETRY_MS = 1_000;

/** Tells what happens to the cluster while this node is a manager: to its own clients, who ask no other for events. */
export class ClusterEvents implements AsyncDisposable {
  readonly #modules: ClusterEventsModules;
  readonly #stopping = new AbortController();
  readonly #starting: Promise<void>;
  #unsubscribe: () => void = () => undefined;

  constructor(modules: ClusterEventsModules) {
    this.#modules = modules;
    this.#starting = this.#start(this.#stopping.signal);
  }

  /** Resolves when everything that happens from now on is told. */
  get started(): Promise<void> {
    return this.#starting;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new Error('no events are told any more'));
    await this.#starting;
    this.#unsubscribe();
  }

  /** What was agreed before this manager started is no news, though it is only applied here now. */
  async #start(signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#modules;
    while (!signal.aborted) {
      try {
        await store.readBarrier(signal);
        this.#unsubscribe = store.subscribe((batch) => this.#take(batch));
        return;
      } catch {
        await clock.sleep(RETRY_MS, signal).catch(() => undefined);
      }
    }
  }

  #take({ events }: EventBatch): void {
    for (const happened of events) {
      const told = toldOf(happened);
      if (told !== undefined) this.#modules.tell(told);
    }
  }
}

function toldOf(event: StoreEvent): ClusterEvent | undefined {
  switch (event.table) {
    case 'service':
      return told(
        'service',
        event,
        nameAndChanges(event, ({ spec }) => spec.name, serviceFacts),
      );
    case 'network':
      return isPredefined(event)
        ? undefined
        : told(
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

/** It only stands for what each node has itself, and is listed nowhere. */
function isPredefined({ row, previous }: Rows<Network>): boolean {
  return PREDEFINED_LABEL in ((row ?? previous)?.spec.labels ?? {});
}

/** What is asked to go is gone for those who listen; that it is cleared away later is no news. */
function told<Row extends { readonly pendingDelete?: boolean } | Node>(
  type: ClusterEvent['type'],
  { id, row, previous }: Rows<Row>,
  attributes: Readonly<Record<string, string>>,
): ClusterEvent | undefined {
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
