import type { NetworkId, ServiceId } from '#proto/types/ids.ts';
import type { NetworkAttachment, Service, Task } from '#proto/types/objects.ts';
import type { NetworkAttachmentConfig } from '#proto/types/specs.ts';
import { TaskState } from '#proto/types/states.ts';
import { isActive } from '#scheduler/slots.ts';
import type { Controller } from '../leader/controller.ts';
import type { Change } from '../store/changes.ts';
import type { StoreView } from '../store/view.ts';
import { AddressBook, type KnownAddresses } from './address-book.ts';
import { isOverlay, noFreeAddress, whyUnallocated } from './networks.ts';
import { whyNoEndpoint } from './services.ts';

/**
 * New tasks become pending with an address on each of their overlay networks. One that cannot have all of them stays new,
 * with the reason in its status, and is tried again at every look.
 */
export const tasks: Controller = {
  name: 'tasks',
  wakesOn: ['service', 'network', 'task'],
  plan(view, { nowMs, known }) {
    const attaching = new Attaching(view, known);
    const changes: Change[] = [];
    for (const task of view.tasks.unsettled(TaskState.New)) {
      if (!isActive(task)) continue;
      const networks = attaching.attach(task);
      if (typeof networks !== 'string') changes.push({ kind: 'allocateTask', taskId: task.id, networks });
      else if (networks !== task.status.error) changes.push(explained(task, networks, nowMs));
    }
    return { changes };
  },
};

function explained(task: Task, error: string, nowMs: number): Change {
  const { state, message } = task.status;
  return { kind: 'setTaskStatus', taskId: task.id, status: { state, atMs: nowMs, message, error } };
}

class Attaching {
  readonly #view: StoreView;
  readonly #known: KnownAddresses | undefined;
  readonly #addresses: AddressBook;
  readonly #reasons = new Map<ServiceId, string>();

  constructor(view: StoreView, known: KnownAddresses | undefined) {
    this.#view = view;
    this.#known = known;
    this.#addresses = new AddressBook(view, known);
  }

  /** The attachments of a task, or why it cannot have them. */
  attach(task: Task): NetworkAttachment[] | string {
    const service = this.#view.services.get(task.serviceId);
    const why = service === undefined ? `service ${task.serviceId} not found` : this.#whyNot(service);
    if (why !== '') return why;
    const revision = this.#view.revision(task.serviceId, task.specVersion);
    const attached: NetworkAttachment[] = [];
    for (const config of revision?.task.networks ?? []) {
      const attachment = this.#attachTo(config);
      if (typeof attachment === 'string') {
        this.#giveBack(attached);
        return attachment;
      }
      attached.push(attachment);
    }
    return attached;
  }

  /** Empty when the service's endpoint is there. */
  #whyNot(service: Service): string {
    if (service.endpoint !== undefined) return '';
    const known = this.#reasons.get(service.id) ?? whyNoEndpoint(this.#view, service, this.#known);
    const reason = known ?? `service ${service.spec.name} has no endpoint yet`;
    this.#reasons.set(service.id, reason);
    return reason;
  }

  #attachTo({ target, aliases }: NetworkAttachmentConfig): NetworkAttachment | string {
    const networkId = target as NetworkId;
    const network = this.#view.networks.get(networkId);
    if (network === undefined) return `network ${networkId} not found`;
    const named = aliases === undefined ? {} : { aliases };
    if (!isOverlay(network)) return { networkId, addresses: [], ...named };
    const why = whyUnallocated(this.#view, network);
    if (why !== undefined) return why;
    const address = this.#addresses.pool(networkId)?.take();
    return address === undefined ? noFreeAddress(network) : { networkId, addresses: [address], ...named };
  }

  #giveBack(attached: readonly NetworkAttachment[]): void {
    for (const { networkId, addresses } of attached)
      for (const address of addresses) this.#addresses.pool(networkId)?.giveBack(address);
  }
}
