import { ShoalError } from '#proto/base/errors.ts';
import { revisionKey } from '#proto/types/assignments.ts';
import type { ServiceId } from '#proto/types/ids.ts';
import type { Endpoint, Service, UpdateStatus } from '#proto/types/objects.ts';
import type { ServiceSpec } from '#proto/types/specs.ts';
import type { ChangeOf } from '../changes.ts';
import { sameValue } from '../same.ts';
import { refuseTakenName } from './names.ts';
import type { Unstamped, Writer } from './writer.ts';

/** Services and their revisions: a new spec is a new revision, kept as long as anything refers to it. */

export function putService(writer: Writer, { service: given }: ChangeOf<'putService'>): void {
  const current = writer.tables.get('service', given.id);
  const pendingDelete = given.pendingDelete ?? current?.pendingDelete ?? false;
  const next = withPendingDelete(
    current ?? { id: given.id, spec: given.spec, specVersion: writer.version, tasksMade: 0 },
    pendingDelete,
  );
  if (!pendingDelete) refuseTakenName(writer, 'service', given.id, given.spec.name);
  if (current === undefined) create(writer, next);
  else if (sameValue(current.spec, given.spec)) writer.put('service', next);
  else changeSpec(writer, current, next, given.spec);
}

function withPendingDelete(service: Unstamped<'service'>, pendingDelete: boolean): Unstamped<'service'> {
  const { pendingDelete: _, ...rest } = service;
  return pendingDelete ? { ...rest, pendingDelete } : rest;
}

function create(writer: Writer, service: Unstamped<'service'>): void {
  writer.put('service', service);
  putRevision(writer, service);
}

/** Writes `next` with another spec; its present one becomes the previous one. */
function changeSpec(writer: Writer, current: Service, next: Unstamped<'service'>, spec: ServiceSpec): void {
  refuseSecondSpec(writer, current);
  const changed = {
    ...next,
    spec,
    specVersion: writer.version,
    previousSpec: current.spec,
    previousSpecVersion: current.specVersion,
  };
  writer.put('service', changed);
  putRevision(writer, changed);
  if (current.previousSpecVersion !== undefined)
    maybeDropRevision(writer, current.id, current.previousSpecVersion);
}

/** A revision is named by its version: within one entry there can be one. */
function refuseSecondSpec(writer: Writer, current: Service): void {
  if (current.specVersion === writer.version)
    throw new ShoalError('OUT_OF_SEQUENCE', 'update out of sequence');
}

function putRevision(writer: Writer, { id, spec, specVersion }: Unstamped<'service'>): void {
  writer.put('revision', {
    serviceId: id,
    specVersion,
    task: spec.task,
    serviceName: spec.name,
    ...(spec.labels === undefined ? {} : { serviceLabels: spec.labels }),
    ...(spec.endpoint?.ports === undefined ? {} : { ports: spec.endpoint.ports }),
  });
}

/** Drops a revision that neither its service nor a task refers to. */
export function maybeDropRevision(writer: Writer, serviceId: ServiceId, specVersion: number): void {
  const service = writer.tables.get('service', serviceId);
  if (service?.specVersion === specVersion || service?.previousSpecVersion === specVersion) return;
  if (writer.tables.tasksOf(serviceId, specVersion) > 0) return;
  writer.remove('revision', revisionKey(serviceId, specVersion));
}

export function rollBackService(writer: Writer, id: ServiceId, update?: UpdateStatus): void {
  const current = writer.tables.get('service', id);
  if (current?.previousSpec === undefined) return;
  const aimed = update && { update: { ...update, targetVersion: writer.version } };
  if (!current.pendingDelete) refuseTakenName(writer, 'service', id, current.previousSpec.name);
  changeSpec(writer, current, { ...current, ...aimed }, current.previousSpec);
}

export function allocateService(writer: Writer, id: ServiceId, endpoint: Endpoint): void {
  const service = writer.tables.get('service', id);
  if (service !== undefined && !sameValue(service.endpoint, endpoint))
    writer.put('service', { ...service, endpoint });
}

export function setUpdateStatus(writer: Writer, id: ServiceId, update: UpdateStatus): void {
  const service = writer.tables.get('service', id);
  if (service !== undefined && !sameValue(service.update, update))
    writer.put('service', { ...service, update });
}

export function deleteService(writer: Writer, id: string): void {
  const service = writer.tables.get('service', id);
  if (service === undefined) return;
  if (writer.tables.tasks.byService(service.id).length > 0) {
    if (!service.pendingDelete) writer.put('service', { ...service, pendingDelete: true });
    return;
  }
  writer.remove('service', id);
  maybeDropRevision(writer, service.id, service.specVersion);
  if (service.previousSpecVersion !== undefined)
    maybeDropRevision(writer, service.id, service.previousSpecVersion);
}
