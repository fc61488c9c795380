import { ShoalError } from '#proto/base/errors.ts';
import type { Random } from '#proto/base/random.ts';
import { type NetworkId, newId } from '#proto/types/ids.ts';
import type { Network } from '#proto/types/objects.ts';
import { type NetworkSpec, networkIdsOf } from '#proto/types/specs.ts';
import { checkAddressing, isOverlay } from '../allocator/networks.ts';
import { PREDEFINED_LABEL } from '../leader/bootstrap.ts';
import { hasTasksOn } from '../orchestrator/network-tasks.ts';
import type { Store, StoreView } from '../store/view.ts';
import { findNetwork } from './lookup.ts';
import { checkName } from './names.ts';
import { findIngress } from './service-networks.ts';
import type { Turns } from './turns.ts';
import { unstored } from './unstored.ts';

export interface NetworksModules {
  readonly store: Pick<Store, 'view' | 'update'>;
  readonly turns: Turns;
  readonly random: Random;
}

const INTERNAL_LABEL = 'com.docker.swarm.internal';
/** Names that every node has for something of its own. */
const NODES_OWN = ['bridge', 'host', 'none', 'default'];

/** Networks of the cluster as users make and remove them. */
export class Networks {
  readonly #modules: NetworksModules;

  constructor(modules: NetworksModules) {
    this.#modules = modules;
  }

  /** INVALID_ARGUMENT, FORBIDDEN or NOT_IMPLEMENTED for a spec that can't be; CONFLICT for a name that is taken. */
  create(asked: NetworkSpec): Promise<NetworkId> {
    const { store, turns, random } = this.#modules;
    return turns.take(async () => {
      checkNetworkSpec(asked);
      checkAgainstOthers(store.view(), asked);
      const network = { id: newId<'network'>(random), spec: { ...asked, driver: 'overlay' } };
      await store.update({ changes: [{ kind: 'putNetwork', network }] });
      return network.id;
    });
  }

  /**
   * FORBIDDEN for predefined ones, FAILED_PRECONDITION for one that a service uses. While tasks that are leaving still
   * have addresses of it, it is only asked to go: nobody sees it any more, and it follows them.
   */
  remove(ref: string): Promise<void> {
    return this.#modules.turns.take(() => this.#remove(findNetwork(this.#modules.store.view(), ref)));
  }

  /** Removes those that `chosen` agrees to and that nothing uses; gives their names. */
  async prune(chosen: (network: Network) => boolean): Promise<string[]> {
    const { store, turns } = this.#modules;
    const removed: string[] = [];
    for (const network of [...store.view().networks.all()].filter(chosen)) {
      await turns.take(async () => {
        const view = store.view();
        const current = view.networks.get(network.id);
        if (current === undefined || !isIdle(view, current)) return;
        await this.#remove(current);
        removed.push(current.spec.name);
      });
    }
    return removed;
  }

  async #remove(network: Network): Promise<void> {
    const { store } = this.#modules;
    const view = store.view();
    refuseRemoval(view, network);
    const { id, version } = network;
    await store.update({
      expects: [{ table: 'network', id, version }],
      changes: [
        hasTasksOn(view, id)
          ? { kind: 'putNetwork', network: { ...unstored(network), pendingDelete: true } }
          : { kind: 'delete', table: 'network', id },
      ],
    });
  }
}

function checkNetworkSpec({
  name,
  labels,
  driver,
  options,
  ipam,
  ipv6,
  ingress,
  attachable,
}: NetworkSpec): void {
  if (NODES_OWN.includes(name))
    throw new ShoalError('FORBIDDEN', `${name} is a pre-defined network and cannot be created`);
  checkName(name);
  if (labels !== undefined && [INTERNAL_LABEL, PREDEFINED_LABEL].some((label) => label in labels))
    throw new ShoalError(
      'FORBIDDEN',
      `label ${INTERNAL_LABEL} is for predefined internal networks and cannot be applied by users`,
    );
  if (driver !== undefined && driver !== 'overlay')
    throw notYet(name, `networks of the swarm with the driver ${driver} are`);
  if (ipam?.driver !== undefined && ipam.driver !== 'default') throw invalid('invalid IPAM specified');
  if (ipv6) throw notYet(name, 'IPv6 in overlay networks is');
  if (options !== undefined && 'encrypted' in options) throw notYet(name, 'encrypted overlay networks are');
  if (ingress && attachable) throw invalid('ingress network cannot be attachable');
}

function checkAgainstOthers(view: StoreView, spec: NetworkSpec): void {
  if (view.networks.byName(spec.name) !== undefined)
    throw new ShoalError('CONFLICT', `network with name ${spec.name} already exists`);
  const ingress = spec.ingress ? findIngress(view) : undefined;
  if (ingress !== undefined)
    throw new ShoalError('CONFLICT', `ingress network (${ingress.id}) is already present`);
  checkAddressing(view, spec);
}

function refuseRemoval(view: StoreView, { id, spec }: Network): void {
  if (PREDEFINED_LABEL in (spec.labels ?? {}))
    throw new ShoalError('FORBIDDEN', `${spec.name} is a pre-defined network and cannot be removed`);
  for (const service of view.services.all()) {
    if (service.pendingDelete) continue;
    if (networkIdsOf(service.spec.task).includes(id))
      throw inUse(`network ${id} is in use by service ${service.id}`);
    const publishes = service.spec.endpoint?.ports?.some(({ publishMode }) => publishMode === 'ingress');
    if (spec.ingress && publishes)
      throw inUse(`ingress network cannot be removed because service ${service.id} depends on it`);
  }
}

/** Whether pruning may take it: made by somebody, and used by nothing. */
function isIdle(view: StoreView, network: Network): boolean {
  if (network.pendingDelete || network.spec.ingress || !isOverlay(network)) return false;
  for (const { spec, pendingDelete } of view.services.all())
    if (!pendingDelete && networkIdsOf(spec.task).includes(network.id)) return false;
  return !hasTasksOn(view, network.id);
}

function inUse(message: string): ShoalError {
  return new ShoalError('FAILED_PRECONDITION', message);
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', message);
}

function notYet(name: string, what: string): ShoalError {
  return new ShoalError('NOT_IMPLEMENTED', `network ${name}: ${what} not supported yet`);
}
