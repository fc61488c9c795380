import type { ChangeOf } from '../changes.ts';
import { sameValue } from '../same.ts';
import { refuseTakenName } from './names.ts';
import type { Writer } from './writer.ts';

export function putNetwork(writer: Writer, { network }: ChangeOf<'putNetwork'>): void {
  if (!network.pendingDelete) refuseTakenName(writer, 'network', network.id, network.spec.name);
  writer.put('network', network);
}

export function allocateNetwork(writer: Writer, { networkId, vni, ipam }: ChangeOf<'allocateNetwork'>): void {
  const network = writer.tables.get('network', networkId);
  if (network === undefined) return;
  const changed = { ...network, ipam, ...(vni === undefined ? {} : { vni }) };
  if (!sameValue(network, changed)) writer.put('network', changed);
}
