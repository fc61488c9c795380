import type { ServiceId } from '#proto/types/ids.ts';
import type { Change, Expectation } from '../store/changes.ts';
import type { Store, StoreView } from '../store/view.ts';

/** Changes in one entry: well below the bytes that an entry may have, and applied within some milliseconds. */
const CHANGES_MAX = 500;

/**
 * Writes a plan that was made when services were as given, and resolves when this manager has applied it. A long one goes
 * in several entries, in order: since plans only look at what is, the rest can be planned again if it does not come to that.
 * Fails as Store.update; the signal stops it before the next entry.
 */
export async function commit(
  store: Pick<Store, 'update'>,
  services: StoreView['services'],
  changes: readonly Change[],
  signal: AbortSignal,
): Promise<void> {
  for (let from = 0; from < changes.length; from += CHANGES_MAX) {
    signal.throwIfAborted();
    const part = changes.slice(from, from + CHANGES_MAX);
    await store.update({ expects: expectations(services, part), changes: part });
  }
}

/** Decisions that follow from a service's spec hold only as long as nobody has changed it. */
function expectations(services: StoreView['services'], changes: readonly Change[]): Expectation[] {
  const ids = new Set(changes.flatMap(specFollowed));
  return [...ids].flatMap((id) => {
    const service = services.get(id);
    return service === undefined ? [] : [{ table: 'service', id, version: service.version }];
  });
}

function specFollowed(change: Change): ServiceId[] {
  switch (change.kind) {
    case 'createTask':
    case 'setUpdateStatus':
    case 'rollBackService':
    case 'allocateService':
      return [change.serviceId];
    default:
      return [];
  }
}
