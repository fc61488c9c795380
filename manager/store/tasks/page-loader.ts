import { assert } from '#proto/base/assert.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { TaskPage } from '#proto/gen/shoal.ts';
import type { NodeId, ServiceId } from '#proto/types/ids.ts';
import type { TaskState } from '#proto/types/states.ts';
import type { LiveTasks } from './live-tasks.ts';
import type { Names } from './names.ts';
import { ID_WORDS } from './packed-id.ts';
import type { PageColumns } from './page-writer.ts';
import { sortRows } from './sort-rows.ts';

/** Fills an empty table from the pages of a snapshot. Nothing may look at the table until all of finish() has run. */
export class PageLoader {
  readonly #live: LiveTasks;
  /** By number; 0 names nothing. */
  readonly #names: (string | undefined)[] = [undefined];
  /** Numbers in the table, by those in the snapshot. */
  readonly #services: number[] = [];
  readonly #nodes: number[] = [];
  /** Rows are numbered in the order in which they come, from this one on. */
  #firstRow = 0;
  #rows = 0;
  /** How many tasks there are of each service, by its number in the table, and spec version. */
  readonly #counts: (Map<number, number> | undefined)[] = [];

  constructor(live: LiveTasks) {
    this.#live = live;
  }

  /** Takes over the tasks of the next page, and says how many. Throws ShoalError INTERNAL on what is no such page. */
  load(page: TaskPage): number {
    this.#names.push(...page.names);
    this.#live.words.load(page.words);
    const columns = columnsOf(page);
    const count = columns.slots.length;
    const bodies = Buffer.from(page.bodies.buffer, page.bodies.byteOffset, page.bodies.length);
    let at = 0;
    for (let each = 0; each < count; each++) {
      const length = columns.bodyLengths[each] as number;
      this.#add(columns, each, bodies, at, length);
      at += length;
    }
    if (at !== bodies.length) throw broken('its bodies have another length');
    return count;
  }

  /** Makes the indexes, a step at a time. */
  *finish(): Generator<void> {
    const { columns, found, ids, slots, places, unsettled } = this.#live;
    const byId = new Uint32Array(this.#rows).map((_, at) => this.#firstRow + at);
    yield* found.load(byId);
    ids.load(byId);
    const open = byId.filter((row) => this.#live.isUnsettled(row));
    unsettled.load(yield* sortRows(open, (row) => columns.state(row)));
    yield;
    const byService = (row: number): number => columns.service(row);
    slots.load(yield* sortRows(yield* sortRows(byId, (row) => columns.slot(row)), byService));
    const placed = byId.filter((row) => columns.node(row) !== 0);
    places.load(yield* sortRows(placed, (row) => columns.node(row)));
    this.#counts.forEach((versions = new Map(), service) => {
      const serviceId = this.#live.services.nameOf(service) as ServiceId;
      for (const [specVersion, count] of versions) this.#live.noteLoaded(serviceId, specVersion, count);
    });
  }

  #add(from: PageColumns, at: number, bodies: Buffer, start: number, length: number): void {
    const { columns, services, nodes } = this.#live;
    const row = columns.add();
    const serviceId = this.#nameOf(from.services[at]);
    const nodeId = this.#nameOf(from.nodes[at]);
    if (serviceId === undefined) throw broken('a task has no service');
    columns.setIdWords(row, from.ids, at * ID_WORDS);
    const service = use(services, this.#services, from.services[at] as number, serviceId as ServiceId);
    columns.setService(row, service);
    if (nodeId === undefined) columns.setNode(row, 0);
    else columns.setNode(row, use(nodes, this.#nodes, from.nodes[at] as number, nodeId as NodeId));
    columns.setSpecVersion(row, from.specVersions[at] as number);
    columns.setSlot(row, from.slots[at] as number);
    columns.setState(row, from.states[at] as number);
    this.#live.countState(from.states[at] as TaskState, 1);
    columns.setDesired(row, from.desired[at] as number);
    columns.setBody(row, this.#live.bodies.add(bodies, start, length));
    if (this.#rows === 0) this.#firstRow = row;
    else if (columns.compareIds(row - 1, row) >= 0) throw broken('tasks are not in order');
    assert(row === this.#firstRow + this.#rows, 'a table that is loaded was empty');
    this.#rows += 1;
    this.#count(service, from.specVersions[at] as number);
  }

  #nameOf(number: number | undefined): string | undefined {
    const name = this.#names[number as number];
    if (number !== 0 && name === undefined) throw broken('a name is missing');
    return name;
  }

  #count(service: number, specVersion: number): void {
    const versions = this.#counts[service] ?? new Map<number, number>();
    versions.set(specVersion, (versions.get(specVersion) ?? 0) + 1);
    this.#counts[service] = versions;
  }
}

/** Counts one more user of a name, and gives its number in the table. */
function use<Name extends string>(names: Names<Name>, known: number[], number: number, name: Name): number {
  const there = known[number];
  if (there !== undefined) names.useAgain(there);
  else known[number] = names.use(name);
  return known[number] as number;
}

/** The numbers of a page, in memory of their own, for a part of a message begins anywhere. */
function columnsOf(page: TaskPage): PageColumns {
  const columns = {
    ids: new Uint32Array(bufferOf(page.ids)),
    services: new Uint32Array(bufferOf(page.services)),
    nodes: new Uint32Array(bufferOf(page.nodes)),
    specVersions: new Float64Array(bufferOf(page.specVersions)),
    slots: new Float64Array(bufferOf(page.slots)),
    states: new Uint16Array(bufferOf(page.states)),
    desired: new Uint16Array(bufferOf(page.desired)),
    bodyLengths: new Uint32Array(bufferOf(page.bodyLengths)),
  };
  const { ids, ...others } = columns;
  const rows = columns.slots.length;
  if (ids.length !== rows * ID_WORDS || Object.values(others).some(({ length }) => length !== rows))
    throw broken('its columns have different lengths');
  return columns;
}

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}

function broken(what: string): ShoalError {
  return new ShoalError('INTERNAL', `snapshot of the store can't be read: a page of tasks: ${what}`);
}
