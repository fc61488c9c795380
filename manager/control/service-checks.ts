import { ShoalError } from '#proto/base/errors.ts';
import type {
  ContainerSpec,
  EndpointSpec,
  Healthcheck,
  ResourceLimits,
  Resources,
  RestartPolicy,
  ServiceMode,
  ServiceSpec,
  TaskSpec,
  UpdateConfig,
} from '#proto/types/specs.ts';
import { parseConstraints } from '#scheduler/constraints.ts';
import { parseImageName } from './image-name.ts';
import { checkName } from './names.ts';

const NS_PER_MS = 1_000_000;
const MIB = 1024 * 1024;
const NANO_CPUS_MIN = 1_000_000;
const MEMORY_BYTES_MIN = 4 * MIB;

/** Refuses a spec that no cluster could run: INVALID_ARGUMENT or NOT_IMPLEMENTED, in Swarm's words and order. */
export function checkServiceSpec(spec: ServiceSpec): void {
  checkName(spec.name);
  checkTask(spec.task);
  checkMode(spec.mode);
  checkUpdate(spec.update);
  checkUpdate(spec.rollback);
  checkEndpoint(spec.endpoint);
}

function checkTask({ resources, restart, placement, container, logDriver }: TaskSpec): void {
  checkAmounts(resources?.limits);
  checkAmounts(resources?.reservations);
  checkRestart(restart);
  parseConstraints(placement?.constraints ?? []);
  checkContainer(container);
  if (logDriver?.name === '') throw invalid('driver name: if driver is specified name is required');
}

function checkAmounts({ nanoCpus = 0, memoryBytes = 0 }: ResourceLimits | Resources = {}): void {
  if (nanoCpus !== 0 && nanoCpus < NANO_CPUS_MIN)
    throw invalid(`invalid cpu value ${decimal(nanoCpus / 1e9)}: Must be at least ${NANO_CPUS_MIN / 1e9}`);
  if (memoryBytes !== 0 && memoryBytes < MEMORY_BYTES_MIN)
    throw invalid(`invalid memory value ${memoryBytes}: Must be at least 4MiB`);
}

/** As Go writes it: exponents have two digits at least. */
function decimal(value: number): string {
  return Math.abs(value) < 1e-4 ? value.toExponential().replace(/e-(\d)$/, 'e-0$1') : String(value);
}

function checkRestart({ delayNs = 0, windowNs = 0 }: RestartPolicy = {}): void {
  if (delayNs < 0) throw invalid('TaskSpec: restart-delay cannot be negative');
  if (windowNs < 0) throw invalid('TaskSpec: restart-window cannot be negative');
}

function checkContainer({ image, mounts = [], healthcheck }: ContainerSpec): void {
  if (image === '') throw invalid('ContainerSpec: image reference must be provided');
  if (parseImageName(image) === undefined)
    throw invalid(`ContainerSpec: ${JSON.stringify(image)} is not a valid repository/tag`);
  const targets = new Set<string>();
  for (const { target } of mounts) {
    if (targets.has(target)) throw invalid(`ContainerSpec: duplicate mount point: ${target}`);
    targets.add(target);
  }
  if (healthcheck !== undefined) checkHealth(healthcheck);
}

function checkHealth({
  intervalNs,
  timeoutNs,
  startPeriodNs,
  startIntervalNs,
  retries = 0,
}: Healthcheck): void {
  const times = {
    Interval: intervalNs,
    Timeout: timeoutNs,
    StartPeriod: startPeriodNs,
    StartInterval: startIntervalNs,
  };
  for (const [name, ns = 0] of Object.entries(times)) {
    if (ns !== 0 && ns < NS_PER_MS)
      throw invalid(`ContainerSpec: ${name} in HealthConfig cannot be less than 1ms`);
  }
  if (retries < 0) throw invalid('ContainerSpec: Retries in HealthConfig cannot be negative');
}

function checkMode({ kind }: ServiceMode): void {
  if (kind === 'replicated' || kind === 'global') return;
  throw new ShoalError('NOT_IMPLEMENTED', `services of mode ${kind} are not supported yet`);
}

function checkUpdate({ delayNs = 0, monitorNs = 0, maxFailureRatio = 0 }: UpdateConfig = {}): void {
  if (delayNs < 0) throw invalid('TaskSpec: update-delay cannot be negative');
  if (monitorNs < 0) throw invalid('TaskSpec: update-monitor cannot be negative');
  if (maxFailureRatio < 0 || maxFailureRatio > 1)
    throw invalid('TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1');
}

const PORT_MAX = 65_535;

function checkEndpoint({ mode, ports = [] }: EndpointSpec = {}): void {
  const taken = new Set<string>();
  for (const { protocol, targetPort, publishedPort = 0, publishMode } of ports) {
    if (mode === 'dnsrr' && publishMode === 'ingress')
      throw invalid("EndpointSpec: port published with ingress mode can't be used with dnsrr mode");
    if (targetPort < 1 || targetPort > PORT_MAX || publishedPort > PORT_MAX)
      throw invalid(`EndpointSpec: invalid port ${publishedPort}:${targetPort}: ports are 1 to ${PORT_MAX}`);
    if (publishedPort === 0) continue;
    const key = `${publishedPort}/${protocol}`;
    if (taken.has(key)) throw invalid('EndpointSpec: duplicate published ports provided');
    taken.add(key);
  }
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', message);
}
