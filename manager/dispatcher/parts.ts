import type { AssignmentDiff } from '#proto/types/assignments.ts';

/** Rows of one message: far below what a message may weigh, so that other streams get their turn in between. */
const ROWS_MAX = 2_000;
/** A revision holds a whole task spec. */
const REVISION_ROWS = 20;

type Rows = { -readonly [Key in keyof AssignmentDiff]: AssignmentDiff[Key] };

const LISTS = [
  'putTasks',
  'removeTasks',
  'putRevisions',
  'removeRevisions',
  'putPeers',
  'removePeers',
  'putNetworks',
  'removeNetworks',
  'putServices',
  'removeServices',
  'putEndpoints',
  'removeEndpoints',
] as const satisfies (keyof AssignmentDiff)[];

/** A diff as one or more that lead to the same when applied in order; all have its version, and mean nothing alone. */
export function partsOf(diff: AssignmentDiff): AssignmentDiff[] {
  const parts: Rows[] = [];
  let room = 0;
  const next = (): Rows => {
    room = ROWS_MAX;
    const first = parts.length === 0;
    const { complete, appliesTo, version, self } = diff;
    const part: Rows = {
      ...EMPTY,
      version,
      complete: complete && first,
      appliesTo: first ? appliesTo : version,
    };
    if (first && self !== undefined) part.self = self;
    parts.push(part);
    return part;
  };
  let part = next();
  for (const name of LISTS) {
    const rows: readonly unknown[] = diff[name];
    const weight = name === 'putRevisions' ? REVISION_ROWS : 1;
    for (let from = 0; from < rows.length; ) {
      if (room < weight) part = next();
      const until = from + Math.floor(room / weight);
      const taken = rows.slice(from, until);
      Object.assign(part, { [name]: taken });
      room -= taken.length * weight;
      from = until;
    }
  }
  return parts;
}

const EMPTY: Rows = {
  complete: false,
  appliesTo: 0,
  version: 0,
  putTasks: [],
  removeTasks: [],
  putRevisions: [],
  removeRevisions: [],
  putPeers: [],
  removePeers: [],
  putNetworks: [],
  removeNetworks: [],
  putServices: [],
  removeServices: [],
  putEndpoints: [],
  removeEndpoints: [],
};
