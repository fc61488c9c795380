import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { type ApiRequest, json, type Reply, type Route } from '#proto/http/types.ts';
import { BACKUP_TYPE, type BackupParts, backup } from './backup.ts';
import { decodeBody, flag, object } from './convert/fields.ts';
import { raftView } from './convert/raft-view.ts';
import { restoreRequest } from './convert/swarm-requests.ts';
import type { OperatorLifecycle } from './lifecycle.ts';
import { type NoManager, refusalOf } from './manager.ts';
import { collectRaftReport, type RaftStatusParts } from './raft-status.ts';
import { recoveryPlan } from './recovery-plan.ts';

/*
 * What Shoal offers to those who run a cluster beyond Docker's API, under /shoal/. docs/operating.md tells of it.
 */

export interface OperatorParts extends RaftStatusParts, BackupParts {
  readonly store: BackupParts['store'];
  readonly consensus: BackupParts['consensus'];
  readonly leadWatch: BackupParts['leadWatch'];
}

export interface OperatorApiModules {
  /** Asked anew for each request. */
  readonly manager: () => OperatorParts | NoManager;
  readonly lifecycle: OperatorLifecycle;
  readonly clock: Pick<Clock, 'wallMs'>;
}

export function operatorRoutes(modules: OperatorApiModules): Route[] {
  return [
    { method: 'GET', path: '/shoal/raft', handle: (request) => raft(modules, request) },
    {
      method: 'GET',
      path: '/shoal/backup',
      handle: (request) => backup(partsOf(modules), request, modules.clock.wallMs()),
    },
    { method: 'POST', path: '/shoal/restore', handle: (request) => restore(modules, request) },
    { method: 'POST', path: '/shoal/rotate-key', handle: () => rotateKey(modules) },
    { method: 'POST', path: '/shoal/recover', handle: (request) => recover(modules, request) },
  ];
}

async function raft(modules: OperatorApiModules, { signal }: ApiRequest): Promise<Reply> {
  return json(raftView(await collectRaftReport(partsOf(modules), signal)));
}

/** Of this manager alone: each has a key of its own. */
async function rotateKey(modules: OperatorApiModules): Promise<Reply> {
  const { nodeId } = partsOf(modules);
  await modules.lifecycle.rotateKey();
  return json({ NodeID: nodeId });
}

/** The body is what a backup gave; the node's place is in the query, as in POST /swarm/init. */
async function restore(
  { lifecycle }: OperatorApiModules,
  { query, headers, body }: ApiRequest,
): Promise<Reply> {
  if (headers['content-type'] !== BACKUP_TYPE) {
    throw new ShoalError('INVALID_ARGUMENT', `a backup of type ${BACKUP_TYPE} is expected`);
  }
  return json({ NodeID: await lifecycle.restore(restoreRequest(query), body) });
}

interface RecoverRequest {
  /** Although other managers answer. */
  readonly force?: boolean;
  /** Only says what it would do. */
  readonly dryRun?: boolean;
}

const recoverRequest = object<RecoverRequest>({ force: ['Force', flag], dryRun: ['DryRun', flag] });

/** Answers with what is done, step by step; FAILED_PRECONDITION with the reason where it should not be. */
async function recover(modules: OperatorApiModules, request: ApiRequest): Promise<Reply> {
  const { force = false, dryRun = false } = decodeBody(recoverRequest, await request.json<unknown>());
  const { refusals, steps } = recoveryPlan(await collectRaftReport(partsOf(modules), request.signal));
  if (dryRun) return json({ Refusals: refusals, Steps: steps });
  if (refusals.length > 0 && !force) throw new ShoalError('FAILED_PRECONDITION', refusals.join(' '));
  return json({ NodeID: await modules.lifecycle.recover(), Refusals: refusals, Steps: steps });
}

function partsOf({ manager }: OperatorApiModules): OperatorParts {
  const found = manager();
  if (typeof found === 'string') throw refusalOf(found);
  return found;
}
