import { ShoalError } from '#proto/base/errors.ts';
import type { Writer } from './writer.ts';

/** Throws CONFLICT when another service (network) that is not asked to go has the name. The words are Swarm's. */
export function refuseTakenName(
  writer: Writer,
  table: 'service' | 'network',
  id: string,
  name: string,
): void {
  const { services, networks } = writer.tables;
  const holder = table === 'service' ? services.byName(name) : networks.byName(name);
  if (holder === undefined || holder.id === id) return;
  throw new ShoalError('CONFLICT', `name conflicts with an existing object: ${table} ${name} already exists`);
}
