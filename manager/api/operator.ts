import { json, type Route } from '#proto/http/types.ts';
import { raftView } from './convert/raft-view.ts';
import { type NoManager, refusalOf } from './manager.ts';
import { collectRaftReport, type RaftStatusParts } from './raft-status.ts';

/*
 * What Shoal offers to those who run a cluster beyond Docker's API, under /shoal/. docs/operating.md tells of it.
 */

export interface OperatorParts extends RaftStatusParts {}

export interface OperatorApiModules {
  /** Asked anew for each request. */
  readonly manager: () => OperatorParts | NoManager;
}

export function operatorRoutes(modules: OperatorApiModules): Route[] {
  return [
    {
      method: 'GET',
      path: '/shoal/raft',
      handle: async ({ signal }) => json(raftView(await collectRaftReport(partsOf(modules), signal))),
    },
  ];
}

function partsOf({ manager }: OperatorApiModules): OperatorParts {
  const found = manager();
  if (typeof found === 'string') throw refusalOf(found);
  return found;
}
