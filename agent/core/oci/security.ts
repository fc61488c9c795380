import { ShoalError } from '#proto/base/errors.ts';
import type { HostConfig } from '../container-types.ts';
import type { SeccompProfile, SyscallArg, SyscallRule } from '../linux/seccomp-profile.ts';

/** Which system call filter a container gets. */
export type SeccompChoice = 'default' | 'unconfined' | SeccompProfile;

/** `--security-opt`: labels of other security systems are accepted and mean nothing here. */
export function seccompChoice(hostConfig: HostConfig, capabilities: readonly string[]): SeccompChoice {
  if (hostConfig.Privileged) return 'unconfined';
  let choice: SeccompChoice = 'default';
  for (const option of hostConfig.SecurityOpt ?? []) {
    const [name = '', value = ''] = splitOption(option);
    if (name === 'seccomp') choice = parseSeccomp(value, capabilities);
    else if (!['no-new-privileges', 'apparmor', 'label', 'systempaths', 'writable-cgroups'].includes(name))
      throw new ShoalError('INVALID_ARGUMENT', `invalid --security-opt 2: "${option}"`);
  }
  return choice;
}

function splitOption(option: string): [string, string] {
  const at = option.search(/[=:]/);
  return at < 0 ? [option, ''] : [option.slice(0, at), option.slice(at + 1)];
}

function parseSeccomp(value: string, capabilities: readonly string[]): SeccompChoice {
  if (value === 'unconfined') return 'unconfined';
  if (value === '' || value === 'builtin') return 'default';
  try {
    return ociProfile(JSON.parse(value) as DockerProfile, capabilities);
  } catch (error) {
    throw new ShoalError('INVALID_ARGUMENT', `Decoding seccomp profile failed: ${String(error)}`, {
      cause: error,
    });
  }
}

interface DockerRule {
  readonly name?: string;
  readonly names?: readonly string[];
  readonly action: string;
  readonly errnoRet?: number | null;
  readonly args?: readonly SyscallArg[] | null;
  readonly includes?: RuleCondition;
  readonly excludes?: RuleCondition;
}

interface RuleCondition {
  readonly caps?: readonly string[];
  readonly arches?: readonly string[];
  readonly minKernel?: string;
}

interface DockerProfile {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[] | null;
  readonly archMap?: readonly { architecture: string; subArchitectures?: readonly string[] | null }[];
  readonly syscalls?: readonly DockerRule[] | null;
}

const ARCHES: Readonly<Record<string, { docker: string; oci: string }>> = {
  x64: { docker: 'amd64', oci: 'SCMP_ARCH_X86_64' },
  arm64: { docker: 'arm64', oci: 'SCMP_ARCH_AARCH64' },
};

/** Docker's profile format, with its conditions decided, as the OCI runtime specification has it. */
export function ociProfile(
  profile: DockerProfile,
  capabilities: readonly string[],
  machine: string = process.arch,
): SeccompProfile {
  const arch = ARCHES[machine] ?? { docker: machine, oci: machine };
  const family = profile.archMap?.find(({ architecture }) => architecture === arch.oci);
  const applies = (rule: DockerRule): boolean =>
    matches(rule.includes, capabilities, arch.docker, true) &&
    !matches(rule.excludes, capabilities, arch.docker, false);
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
    architectures: family ? [arch.oci, ...(family.subArchitectures ?? [])] : (profile.architectures ?? []),
    syscalls: (profile.syscalls ?? []).filter(applies).map(ociRule),
  };
}

/** Kernels older than any condition asks for (4.8) are not supported at all. */
function matches(
  condition: RuleCondition | undefined,
  capabilities: readonly string[],
  arch: string,
  empty: boolean,
): boolean {
  const { caps = [], arches = [], minKernel } = condition ?? {};
  if (caps.length === 0 && arches.length === 0 && minKernel === undefined) return empty;
  if (empty)
    return caps.every((cap) => capabilities.includes(cap)) && (arches.length === 0 || arches.includes(arch));
  return caps.some((cap) => capabilities.includes(cap)) || arches.includes(arch) || minKernel !== undefined;
}

function ociRule({ name, names, action, errnoRet, args }: DockerRule): SyscallRule {
  return {
    names: names ?? (name === undefined ? [] : [name]),
    action,
    ...(errnoRet === undefined || errnoRet === null ? {} : { errnoRet }),
    ...(args && args.length > 0 ? { args } : {}),
  };
}
