import { RESTART_DEFAULTS, STOP_GRACE_DEFAULT_NS, UPDATE_DEFAULTS } from '#proto/types/defaults.ts';
import type { ServiceSpec, TaskSpec, UpdateConfig } from '#proto/types/specs.ts';

/** A spec with everything said that it leaves to defaults (`insertDefaults=true`), for people to read. */
export function withDefaults(spec: ServiceSpec): ServiceSpec {
  return {
    ...spec,
    task: taskWithDefaults(spec.task),
    update: updateWithDefaults(spec.update),
    rollback: updateWithDefaults(spec.rollback),
  };
}

function updateWithDefaults(config: UpdateConfig | undefined): UpdateConfig {
  const { parallelism, failureAction, monitorNs, maxFailureRatio, order } = UPDATE_DEFAULTS;
  return { parallelism, failureAction, monitorNs, maxFailureRatio, order, ...config };
}

function taskWithDefaults(task: TaskSpec): TaskSpec {
  const { condition, delayNs, maxAttempts } = RESTART_DEFAULTS;
  return {
    ...task,
    container: { stopGracePeriodNs: STOP_GRACE_DEFAULT_NS, dns: {}, ...task.container },
    resources: { limits: {}, reservations: {}, ...task.resources },
    restart: { condition, delayNs, maxAttempts, ...task.restart },
    placement: { ...task.placement },
  };
}
