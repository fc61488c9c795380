import type { Change, Expectation } from '#manager/store/changes.ts';
import type { StoreView } from '#manager/store/view.ts';
import { type Random, randomInt } from '#proto/base/random.ts';
import type { NetworkId, NodeId, ServiceId } from '#proto/types/ids.ts';
import { TaskState } from '#proto/types/states.ts';
import type { Book, Page } from './book.ts';
import type { ModelState } from './linearizability.ts';
import {
  type BagInput,
  type BagOutput,
  bagModel,
  bagOf,
  type KeyInput,
  type KeyOutput,
  keyModel,
  type RegisterInput,
  type RegisterOutput,
  registerModel,
} from './models.ts';

/** More than a segment of the log holds. */
const LARGE_BYTES = 40_000;

/** What a client wants of a manager's store: a transaction made from a view, or to see. */
export type Wish<Output> =
  | {
      readonly kind: 'write';
      /** Undefined: as things stand, there is nothing to write. */
      readonly plan: (
        view: StoreView,
      ) => { readonly expects: readonly Expectation[]; readonly changes: readonly Change[] } | undefined;
      readonly output: Output;
    }
  | { readonly kind: 'read'; readonly look: (view: StoreView) => Output };

/** An object that clients use: what they do to it, and how the store does that. */
export interface SimObject<Input = unknown, Output = unknown> {
  readonly name: string;
  readonly page: Pick<Page<Input, Output, ModelState>, 'call'>;
  /** It begins anew with what is in this view. */
  restart(view: StoreView): void;
  /** `number` is used once. */
  choose(random: Random, number: number): Input;
  wish(input: Input): Wish<Output>;
}

/** The objects of a history. */
export function simObjects(book: Book): SimObject[] {
  const objects = [
    registerAt(book, 'r1'),
    registerAt(book, 'r2'),
    keyAt(book, 'k1'),
    keyAt(book, 'k2'),
    bagAt(book, 'b1'),
  ];
  return objects as unknown as SimObject[];
}

/** A register is the label of a network. It is exchanged by version, as users of the store do it. */
function registerAt(book: Book, name: string): SimObject<RegisterInput<number>, RegisterOutput<number>> {
  const id = name as NetworkId;
  /** What somebody wrote or saw lately: worth to be exchanged. */
  let recent: number | null = null;
  const put = (value: number): Change => ({
    kind: 'putNetwork',
    network: { id, spec: { name, labels: { value: String(value) } } },
  });
  const valueIn = (view: StoreView): number | null => {
    const text = view.networks.get(id)?.spec.labels?.['value'];
    return text === undefined ? null : Number(text);
  };
  const page = book.page(name, registerModel<number>());
  return {
    name,
    page,
    restart: (view) => page.restart(name, valueIn(view)),
    choose(random, number) {
      const dice = random.next();
      const from = recent;
      if (dice < 0.5) return { kind: 'read' };
      recent = number;
      if (dice < 0.75 || from === null) return { kind: 'write', value: number };
      return { kind: 'cas', from, to: number };
    },
    wish(input) {
      if (input.kind === 'read')
        return {
          kind: 'read',
          look(view) {
            recent = valueIn(view);
            return { value: recent };
          },
        };
      if (input.kind === 'write')
        return { kind: 'write', output: {}, plan: () => ({ expects: [], changes: [put(input.value)] }) };
      return {
        kind: 'write',
        output: { made: true },
        plan: (view) => {
          if (valueIn(view) !== input.from) return undefined;
          const version = view.networks.get(id)?.version ?? 0;
          return { expects: [{ table: 'network', id, version }], changes: [put(input.to)] };
        },
      };
    },
  };
}

/** A key is the label of a node; appending reads, and writes if nobody wrote meanwhile. */
function keyAt(book: Book, name: string): SimObject<KeyInput, KeyOutput> {
  const id = name as NodeId;
  const valueIn = (view: StoreView): string => view.nodes.get(id)?.spec.labels?.['value'] ?? '';
  const put = (value: string): Change => ({
    kind: 'putNode',
    node: {
      id,
      spec: { role: 'worker', availability: 'active', labels: { value } },
      role: 'worker',
      status: { state: 'ready' },
    },
  });
  const page = book.page(name, keyModel);
  return {
    name,
    page,
    restart: (view) => page.restart(name, valueIn(view)),
    choose(random, number) {
      const dice = random.next();
      if (dice < 0.4) return { kind: 'get' };
      if (dice < 0.42) return { kind: 'put', value: `${number}${'.'.repeat(LARGE_BYTES)}` };
      return { kind: dice < 0.55 ? 'put' : 'append', value: `${number}.` };
    },
    wish(input) {
      if (input.kind === 'get') return { kind: 'read', look: (view) => ({ value: valueIn(view) }) };
      if (input.kind === 'put')
        return { kind: 'write', output: {}, plan: () => ({ expects: [], changes: [put(input.value)] }) };
      return {
        kind: 'write',
        output: {},
        plan: (view) => ({
          expects: [{ table: 'node', id, version: view.nodes.get(id)?.version ?? 0 }],
          changes: [put(valueIn(view) + input.value)],
        }),
      };
    },
  };
}

/** A bag is a service, and what is in it are the slots of its tasks: what is written twice is there twice. */
function bagAt(book: Book, name: string): SimObject<BagInput, BagOutput> {
  const id = name as ServiceId;
  const spec = {
    name,
    task: { container: { image: 'i' } },
    mode: { kind: 'replicated', replicas: 1 },
  } as const;
  const page = book.page(name, bagModel);
  const valueIn = (view: StoreView): string => bagOf(view.tasks.byService(id).map(({ slot }) => slot));
  return {
    name,
    page,
    restart: (view) => page.restart(name, valueIn(view)),
    choose: (random, number) =>
      random.next() < 0.4 ? { kind: 'look' } : { kind: 'put', value: number * 100 + randomInt(random, 100) },
    wish(input) {
      if (input.kind === 'look') return { kind: 'read', look: (view) => ({ seen: valueIn(view) }) };
      const { value } = input;
      const create: Change = { kind: 'createTask', serviceId: id, slot: value, desired: TaskState.Running };
      return {
        kind: 'write',
        output: {},
        plan: () => ({
          expects: [],
          changes: [{ kind: 'putService', service: { id, spec } }, create],
        }),
      };
    },
  };
}
