import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { Random } from '#proto/base/random.ts';
import type { HostConfig } from '../container-types.ts';
import type { RegistryAuth } from '../engine.ts';
import type { StoredImage } from '../image/image-table.ts';
import type { Images } from '../image/images.ts';
import type { Reference } from '../image/reference.ts';
import type { CacheSources } from './cache-sources.ts';
import type { BuildFolders } from './folders.ts';
import type { BuildArgs } from './language/build-args.ts';
import type { Dockerfile } from './language/instructions.ts';
import type { BuildOutput } from './output.ts';
import type { Stages } from './stages.ts';
import type { StepRunner } from './step-runner.ts';

/** What a build was asked for. */
export interface BuildOptions {
  /** Path in the context; `Dockerfile` unless said. */
  readonly dockerfile?: string;
  readonly tags: readonly Reference[];
  readonly target?: string;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly labels: Readonly<Record<string, string>>;
  readonly noCache: boolean;
  /** Names of images whose steps count as done, beside none that only this node knows. */
  readonly cacheFrom: readonly string[];
  /** Asks the registry for newer base images. */
  readonly pull: boolean;
  /** Says that intermediate containers are gone: after steps that went well, or after all. */
  readonly remove: boolean;
  readonly forceRemove: boolean;
  /** Of RUN steps: `default`, `host`, `none`, … */
  readonly network: string;
  /** Limits and the like of RUN steps. */
  readonly host: Partial<HostConfig>;
  readonly platform?: string;
  /** By registry, as `docker login` knows them. */
  readonly auths: Readonly<Record<string, RegistryAuth>>;
}

export interface BuilderModules {
  readonly images: Images;
  readonly runner: StepRunner;
  readonly clock: Clock;
  readonly random: Random;
}

/** All that the steps of one build share. */
export interface Build {
  readonly options: BuildOptions;
  readonly modules: BuilderModules;
  readonly folders: BuildFolders;
  readonly dockerfile: Dockerfile;
  readonly args: BuildArgs;
  readonly stages: Stages;
  readonly cacheSources: CacheSources;
  readonly output: BuildOutput;
  readonly signal: AbortSignal;
  /** Keeps what it makes until it is done. */
  readonly keep: (image: StoredImage) => void;
}

/** 64 hex digits. */
export function randomId(random: Random): string {
  return Buffer.from(random.bytes(32)).toString('hex');
}

/** What is wrong with the words of an instruction is the user's to mend. */
export function inWords<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof ShoalError) throw error;
    throw new ShoalError('INVALID_ARGUMENT', (error as Error).message, { cause: error });
  }
}
