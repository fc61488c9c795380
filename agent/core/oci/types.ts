/*
 * The parts of the OCI runtime specification (1.0.2) that Shoal fills in: what crun reads as config.json.
 */

export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export interface OciUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
}

export interface OciProcess {
  readonly terminal: boolean;
  readonly consoleSize?: { readonly height: number; readonly width: number };
  readonly user: OciUser;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities: {
    readonly bounding: readonly string[];
    readonly effective?: readonly string[];
    readonly permitted?: readonly string[];
  };
  readonly noNewPrivileges: boolean;
  readonly oomScoreAdj?: number;
  readonly rlimits?: readonly { readonly type: string; readonly hard: number; readonly soft: number }[];
}

export interface OciDevice {
  readonly path: string;
  readonly type: 'c' | 'b';
  readonly major: number;
  readonly minor: number;
  readonly fileMode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface OciDeviceRule {
  readonly allow: boolean;
  readonly type?: 'a' | 'c' | 'b';
  readonly major?: number;
  readonly minor?: number;
  readonly access: string;
}

export interface OciNamespace {
  readonly type: 'pid' | 'network' | 'ipc' | 'uts' | 'mount' | 'cgroup' | 'user';
  readonly path?: string;
}

export interface OciIdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

export interface OciResources {
  readonly devices: readonly OciDeviceRule[];
  readonly memory?: Readonly<Record<string, number | boolean>>;
  readonly cpu?: Readonly<Record<string, number | string>>;
  readonly pids?: { readonly limit: number };
  readonly blockIO?: OciBlockIo;
}

type Throttled = { readonly major: number; readonly minor: number; readonly rate: number };

export interface OciBlockIo {
  readonly weight?: number;
  readonly weightDevice?: readonly {
    readonly major: number;
    readonly minor: number;
    readonly weight: number;
  }[];
  readonly throttleReadBpsDevice?: readonly Throttled[];
  readonly throttleWriteBpsDevice?: readonly Throttled[];
  readonly throttleReadIOPSDevice?: readonly Throttled[];
  readonly throttleWriteIOPSDevice?: readonly Throttled[];
}

export interface OciConfig {
  readonly ociVersion: '1.0.2';
  readonly process: OciProcess;
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly hostname?: string;
  readonly domainname?: string;
  readonly mounts: readonly OciMount[];
  readonly linux: {
    readonly cgroupsPath: string;
    readonly resources: OciResources;
    readonly devices: readonly OciDevice[];
    readonly namespaces: readonly OciNamespace[];
    readonly uidMappings?: readonly OciIdMapping[];
    readonly gidMappings?: readonly OciIdMapping[];
    readonly maskedPaths: readonly string[];
    readonly readonlyPaths: readonly string[];
    readonly sysctl?: Readonly<Record<string, string>>;
    readonly rootfsPropagation?: string;
  };
  readonly annotations: Readonly<Record<string, string>>;
}
