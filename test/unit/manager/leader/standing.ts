import { isDeepStrictEqual } from 'node:util';
import { AddressUses } from '#manager/allocator/address-uses.ts';
import { parseAddress } from '#manager/allocator/subnet.ts';
import type { Standing } from '#manager/leader/standing.ts';
import type { StoreView } from '#manager/store/view.ts';
import { assert } from '#proto/base/assert.ts';
import { usesOf } from '#scheduler/place.ts';

/** What was kept as things happened must be what a look at every task finds. */
export function checkStanding(standing: Standing, view: StoreView): void {
  const { uses } = usesOf(view);
  const nodes = [...view.nodes.all()].map(({ id }) => id);
  for (const id of [...nodes, ...view.tasks.nodeIds()]) {
    const [kept, found] = [standing.uses.of(id), uses.of(id)];
    assert(isDeepStrictEqual(kept, found), `node ${id}: kept ${show(kept)}, found ${show(found)}`);
  }
  const addresses = new AddressUses();
  const tasks = [...view.tasks.all()];
  for (const task of tasks) addresses.change(undefined, task);
  for (const { networks } of tasks) {
    for (const { networkId, addresses: given } of networks) {
      for (const text of given) {
        const address = parseAddress(text) ?? 0;
        const [kept, found] = [standing.addresses.of(networkId), addresses.of(networkId)];
        assert(kept?.isHeld(address) === found?.isHeld(address), `${text}: who has it is known`);
        assert(kept?.wasHeld(address) === found?.wasHeld(address), `${text}: who had it is known`);
      }
    }
  }
}

function show(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => (inner instanceof Map ? [...inner] : inner));
}
