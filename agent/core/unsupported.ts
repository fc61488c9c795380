import { ShoalError } from '#proto/base/errors.ts';
import type { CreateRequest, DeviceRequest } from './container-types.ts';

/**
 * Refuses what Docker can do and this engine can't, rather than to leave it out without a word. INVALID_ARGUMENT in
 * Docker's words where it has any for an engine that can't.
 */
export function checkSupported({ hostConfig }: Pick<CreateRequest, 'hostConfig'>): void {
  const { Isolation = '', UsernsMode = '', StorageOpt, DeviceRequests } = hostConfig;
  if (!['', 'default'].includes(Isolation)) throw invalid(`invalid isolation "${Isolation}" on linux`);
  if (!['', 'host'].includes(UsernsMode)) throw invalid(`invalid user namespace mode: ${UsernsMode}`);
  if (Object.keys(StorageOpt ?? {}).length > 0)
    throw invalid("--storage-opt is supported only for overlay over xfs with 'pquota' mount option");
  const [request] = DeviceRequests ?? [];
  if (request) throw invalid(noDriverFor(request));
}

function noDriverFor({ Driver = '', Capabilities }: DeviceRequest): string {
  const sets = (Capabilities ?? []).map((set) => `[${set.join(' ')}]`);
  return `could not select device driver "${Driver}" with capabilities: [${sets.join(' ')}]`;
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', message);
}
