import type { Service } from '#proto/types/objects.ts';
import type { RegistryAuth, ServiceSpec } from '#proto/types/specs.ts';

/** Whose credentials an update keeps that brings none: those of the spec it replaces, or of the one before that. */
export type AuthFrom = 'spec' | 'previous-spec';

/** The spec with what the nodes pull its image with. */
export function withAuth(spec: ServiceSpec, auth: RegistryAuth | undefined): ServiceSpec {
  const { registryAuth: _, ...container } = spec.task.container;
  return {
    ...spec,
    task: { ...spec.task, container: auth === undefined ? container : { ...container, registryAuth: auth } },
  };
}

/** The credentials that a service has already. */
export function keptAuth(
  { spec, previousSpec }: Pick<Service, 'spec' | 'previousSpec'>,
  from: AuthFrom,
): RegistryAuth | undefined {
  return (from === 'spec' ? spec : previousSpec)?.task.container.registryAuth;
}
