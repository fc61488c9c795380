import type { StoreView } from '#manager/store/view.ts';
import { assert } from '#proto/base/assert.ts';
import type { Task } from '#proto/types/objects.ts';
import { TaskState } from '#proto/types/states.ts';
import { amountsOf } from '#scheduler/demand.ts';
import { isActive, isDead, slotKeyOf } from '#scheduler/slots.ts';

/** What holds after every single commit, whatever happens. */
export function alwaysHolds(view: StoreView): void {
  addressesAreGivenOnce(view);
  portsAreGivenOnce(view);
  slotsHaveOneTask(view);
  nodesAreNotOvercommitted(view);
}

function addressesAreGivenOnce(view: StoreView): void {
  const holders = new Map<string, string>();
  const claim = (network: string, address: string, holder: string): void => {
    const key = `${network} ${address.split('/')[0]}`;
    assert(!holders.has(key), `${key} is given to ${holders.get(key)} and ${holder}`);
    holders.set(key, holder);
  };
  for (const { id, ipam } of view.networks.all()) {
    for (const { gateway } of ipam ?? []) if (gateway !== undefined) claim(id, gateway, 'the gateway');
  }
  for (const { id, endpoint } of view.services.all()) {
    for (const { networkId, addr } of endpoint?.vips ?? []) claim(networkId, addr, id);
  }
  for (const task of view.tasks.all()) {
    if (isDead(task)) continue;
    for (const { networkId, addresses } of task.networks)
      for (const address of addresses) claim(networkId, address, task.id);
  }
}

function portsAreGivenOnce(view: StoreView): void {
  const taken = new Set<string>();
  for (const { endpoint } of view.services.all()) {
    for (const { protocol, publishedPort, publishMode } of endpoint?.ports ?? []) {
      if (publishMode !== 'ingress') continue;
      const key = `${protocol}/${publishedPort}`;
      assert(!taken.has(key), `port ${key} is given twice`);
      taken.add(key);
    }
  }
}

/** One task to run in a slot; one more while a start-first one takes over, or a held back one is being prepared. */
function slotsHaveOneTask(view: StoreView): void {
  for (const service of view.services.all()) {
    const { update, rollback } = service.spec;
    const inOrder = update?.order !== 'start-first' && rollback?.order !== 'start-first';
    const active = view.tasks
      .byService(service.id)
      .filter((task) => isActive(task) && !isLostTask(view, task));
    for (const [slot, tasks] of Map.groupBy(active, slotKeyOf)) {
      const meantToRun = tasks.filter((task) => task.desired === TaskState.Running).length;
      assert(tasks.length <= 2, `slot ${slot} of ${service.spec.name} has ${tasks.length} active tasks`);
      assert(!inOrder || meantToRun <= 1, `slot ${slot} of ${service.spec.name} runs ${meantToRun} tasks`);
    }
  }
}

function isLostTask(view: StoreView, task: Task): boolean {
  if (task.nodeId === undefined) return false;
  return (view.nodes.get(task.nodeId)?.status.state ?? 'down') === 'down';
}

function nodesAreNotOvercommitted(view: StoreView): void {
  for (const node of view.nodes.all()) {
    const room = amountsOf(node.description?.resources);
    const used = new Map<string, number>();
    for (const task of view.tasks.byNode(node.id)) {
      if (isDead(task) || task.status.state < TaskState.Assigned) continue;
      const revision = view.revision(task.serviceId, task.specVersion);
      for (const [name, amount] of amountsOf(revision?.task.resources?.reservations))
        used.set(name, (used.get(name) ?? 0) + amount);
    }
    for (const [name, amount] of used) {
      assert(amount <= (room.get(name) ?? 0), `tasks take more ${name} than node ${node.id} has`);
    }
  }
}
