import type { Clock } from '#proto/base/clock.ts';
import { codeOf, ShoalError } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import { newId, type ServiceId } from '#proto/types/ids.ts';
import type { Service } from '#proto/types/objects.ts';
import { networkIdsOf, type RegistryAuth, type ServiceSpec } from '#proto/types/specs.ts';
import { checkPublishedPorts } from '../allocator/ports.ts';
import type { Expectation } from '../store/changes.ts';
import { sameValue } from '../store/same.ts';
import type { Store, StoreView } from '../store/view.ts';
import { type ImageResolver, pinImage } from './image-pin.ts';
import { findService } from './lookup.ts';
import { type AuthFrom, keptAuth, withAuth } from './registry-auth.ts';
import { checkServiceSpec } from './service-checks.ts';
import { findIngress, withNetworkIds } from './service-networks.ts';
import type { Turns } from './turns.ts';

export interface ServicesOpts {
  /** Pin images that clients name without a digest. Clients that are told not to resolve can't be told apart. */
  readonly pinImages: boolean;
}

export interface ServicesModules {
  readonly store: Pick<Store, 'view' | 'update'>;
  readonly images: ImageResolver;
  readonly turns: Turns;
  readonly clock: Pick<Clock, 'timer' | 'wallMs'>;
  readonly random: Random;
  readonly log: Log;
}

export interface Asked {
  /** Kept with the spec. */
  readonly auth?: RegistryAuth;
  /** Of an update without any; else `spec`. */
  readonly authFrom?: AuthFrom;
  readonly signal?: AbortSignal;
}

type Warnings = readonly string[];

/** Something that changed between the look at it and the write is looked at again, so often at most. */
const TRIES_MAX = 5;

/** Services as users make, change and remove them. */
export class Services {
  readonly #opts: ServicesOpts;
  readonly #modules: ServicesModules;

  constructor(opts: ServicesOpts, modules: ServicesModules) {
    this.#opts = opts;
    this.#modules = modules;
  }

  /**
   * INVALID_ARGUMENT, NOT_IMPLEMENTED, FORBIDDEN or NOT_FOUND for a spec that can't be; CONFLICT for a name that is
   * taken; and what Store.update throws. Nothing was made then.
   */
  async create(
    asked: ServiceSpec,
    by: Asked = {},
  ): Promise<{ readonly id: ServiceId; readonly warnings: Warnings }> {
    const { store, random } = this.#modules;
    const view = store.view();
    const named = withAuth(withNetworkIds(view, asked), by.auth);
    checkServiceSpec(named);
    checkAround(view, named);
    refuseTakenName(view, named.name);
    const { spec, warnings } = await this.#pinned(named, by.signal);
    const id = newId<'service'>(random);
    await this.#write(spec, undefined, (expects) =>
      store.update({ expects, changes: [{ kind: 'putService', service: { id, spec } }] }),
    );
    return { id, warnings };
  }

  /**
   * `version` is one that the service had since its spec last changed: OUT_OF_SEQUENCE otherwise. Renaming and other
   * modes: NOT_IMPLEMENTED. The rest as in create.
   */
  async update(ref: string, version: number, asked: ServiceSpec, by: Asked = {}): Promise<Warnings> {
    const { store } = this.#modules;
    const view = store.view();
    const service = findService(view, ref);
    const auth = by.auth ?? keptAuth(service, by.authFrom ?? 'spec');
    const named = withAuth(withNetworkIds(view, asked), auth);
    checkServiceSpec(named);
    checkChange(service.spec, named);
    expectVersion(service, version);
    checkAround(view, named, service.id);
    const isKnown = named.task.container.image === service.spec.task.container.image;
    const { spec, warnings } = isKnown ? { spec: named, warnings: [] } : await this.#pinned(named, by.signal);
    await this.#write(spec, service, async (expects) => {
      expectVersion(findService(store.view(), service.id), version);
      const own: Expectation = { table: 'service', id: service.id, version };
      const change = { kind: 'putService', service: { id: service.id, spec } } as const;
      return store.update({ expects: [own, ...expects], changes: [change] });
    });
    return warnings;
  }

  /** Back to the spec before the present one. FAILED_PRECONDITION without one; OUT_OF_SEQUENCE as in update. */
  rollBack(ref: string, version: number): Promise<void> {
    const { store, turns, clock } = this.#modules;
    return turns.take(async () => {
      const { id, previousSpec } = findService(store.view(), ref);
      if (previousSpec === undefined)
        throw new ShoalError('FAILED_PRECONDITION', `service ${id} does not have a previous spec`);
      checkAround(store.view(), previousSpec, id);
      const update = {
        state: 'rollback_started',
        startedAtMs: Math.floor(clock.wallMs()),
        message: 'manually requested rollback',
        targetVersion: 0,
      } as const;
      await store.update({
        expects: [{ table: 'service', id, version }],
        changes: [{ kind: 'rollBackService', serviceId: id, update }],
      });
    });
  }

  /** Its name is free at once; its tasks go in good order. */
  async remove(ref: string): Promise<void> {
    const { store } = this.#modules;
    const { id } = findService(store.view(), ref);
    await store.update({ changes: [{ kind: 'delete', table: 'service', id }] });
  }

  async #pinned(
    spec: ServiceSpec,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly spec: ServiceSpec; readonly warnings: Warnings }> {
    if (!this.#opts.pinImages) return { spec, warnings: [] };
    const { task, warnings } = await pinImage(spec.task, this.#modules, signal);
    return { spec: { ...spec, task }, warnings };
  }

  /** Writes in turn, having looked at what is around; again, when one of the spec's networks has changed meanwhile. */
  async #write(
    spec: ServiceSpec,
    before: Service | undefined,
    write: (expects: readonly Expectation[]) => Promise<number>,
  ): Promise<void> {
    const { store, turns } = this.#modules;
    if (before !== undefined && touchesNothingAround(before.spec, spec)) return void (await write([]));
    const attempt = (): Promise<number> => {
      const view = store.view();
      checkAround(view, spec, before?.id);
      return write(networkExpectations(view, spec));
    };
    await turns.take(() => repeatedly(attempt));
  }
}

/** Whether a change concerns the service alone: what it needs of others it has already. */
function touchesNothingAround(before: ServiceSpec, after: ServiceSpec): boolean {
  return sameValue(before.task.networks, after.task.networks) && sameValue(before.endpoint, after.endpoint);
}

async function repeatedly(attempt: () => Promise<number>): Promise<number> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (codeOf(error) !== 'OUT_OF_SEQUENCE' || tries === TRIES_MAX) throw error;
    }
  }
}

function networkExpectations({ networks }: StoreView, spec: ServiceSpec): Expectation[] {
  return networkIdsOf(spec.task).flatMap((id) => {
    const network = networks.get(id);
    return network === undefined ? [] : [{ table: 'network', id, version: network.version }];
  });
}

/** What a spec needs of the rest of the cluster. */
function checkAround(view: StoreView, spec: ServiceSpec, id?: ServiceId): void {
  withNetworkIds(view, spec);
  const ports = spec.endpoint?.ports ?? [];
  checkPublishedPorts(view, ports, id);
  if (ports.some(({ publishMode }) => publishMode === 'ingress') && findIngress(view) === undefined)
    throw new ShoalError(
      'FAILED_PRECONDITION',
      'service needs ingress network, but no ingress network is present',
    );
}

/** Early, before an image is looked for; applying decides. */
function refuseTakenName({ services }: StoreView, name: string): void {
  if (services.byName(name) !== undefined)
    throw new ShoalError(
      'CONFLICT',
      `name conflicts with an existing object: service ${name} already exists`,
    );
}

function checkChange(before: ServiceSpec, after: ServiceSpec): void {
  if (before.name !== after.name)
    throw new ShoalError('NOT_IMPLEMENTED', 'renaming services is not supported');
  if (before.mode.kind !== after.mode.kind)
    throw new ShoalError('NOT_IMPLEMENTED', 'service mode change is not allowed');
}

/** As applying will; only that the reason is known. */
function expectVersion({ specVersion, version }: Service, expected: number): void {
  if (specVersion <= expected && expected <= version) return;
  throw new ShoalError('OUT_OF_SEQUENCE', 'update out of sequence');
}
