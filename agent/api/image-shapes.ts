import type { ApiVersion } from '#proto/http/types.ts';
import type { ImageStore } from '../core/image/image-store.ts';
import type { ImageName, StoredImage } from '../core/image/image-table.ts';
import { createdMs } from '../core/image/list.ts';
import type { RunConfig } from '../core/image/oci.ts';
import { familiarName, parseReference } from '../core/image/reference.ts';
import { isDigestName } from '../core/image/remove.ts';

/*
 * Images as the Engine API shows them: which fields are null, empty or absent is what clients were built against.
 */

/** Never. */
const ZERO_TIME = '0001-01-01T00:00:00Z';

/** Until API 1.43 the same size was told twice. */
const VIRTUAL_SIZE_MINOR_MAX = 43;

/** Before API 1.51 the containers of an image were not counted. */
const CONTAINERS_MINOR_MIN = 51;

function familiar(names: readonly ImageName[]): string[] {
  return names.map(({ name }) => familiarName(parseReference(name)));
}

function tagsOf(names: readonly ImageName[]): string[] {
  return familiar(names.filter((name) => !isDigestName(name)));
}

function digestsOf(names: readonly ImageName[]): string[] {
  return familiar(names.filter(isDigestName));
}

function withVirtualSize(size: number, { minor }: ApiVersion): object {
  return minor <= VIRTUAL_SIZE_MINOR_MAX ? { Size: size, VirtualSize: size } : { Size: size };
}

export interface SummaryOpts {
  readonly version: ApiVersion;
  readonly sharedSize: boolean;
}

/** One item of GET /images/json. */
export function summaryShape(
  store: ImageStore,
  image: StoredImage,
  names: readonly ImageName[],
  opts: SummaryOpts,
): object {
  return {
    Id: image.id,
    ParentId: image.parent ?? '',
    RepoTags: tagsOf(names),
    RepoDigests: digestsOf(names),
    Created: Math.floor(createdMs(image) / 1000),
    ...withVirtualSize(store.sizeOf(image), opts.version),
    SharedSize: opts.sharedSize ? sharedSize(store, image) : -1,
    Labels: image.config.config?.Labels ?? null,
    Containers: opts.version.minor >= CONTAINERS_MINOR_MIN ? store.holds.of(image.id).length : -1,
  };
}

/** Bytes of layers that other images have as well. */
function sharedSize(store: ImageStore, image: StoredImage): number {
  const others = store.table.images().filter(({ id, removed }) => id !== image.id && !removed);
  const shared = new Set(others.flatMap(({ chain }) => chain));
  return image.chain
    .filter((chainId) => shared.has(chainId))
    .reduce((sum, chainId) => sum + (store.layerStore.get(chainId)?.size ?? 0), 0);
}

/** GET /images/{name}/json. */
export function inspectShape(store: ImageStore, image: StoredImage, version: ApiVersion): object {
  const { config } = image;
  const names = store.table.namesOf(image.id);
  const taggedAtMs = Math.max(0, ...names.map((name) => name.taggedAtMs));
  return {
    Id: image.id,
    RepoTags: tagsOf(names),
    RepoDigests: digestsOf(names),
    Parent: image.parent ?? '',
    Comment: config.comment ?? config.history?.at(-1)?.comment ?? '',
    Created: config.created ?? ZERO_TIME,
    DockerVersion: '',
    Author: config.author ?? '',
    Config: configShape(config.config ?? {}),
    Architecture: config.architecture,
    ...(config.variant !== undefined && { Variant: config.variant }),
    Os: config.os,
    ...withVirtualSize(store.sizeOf(image), version),
    GraphDriver: { Data: graphData(store, image), Name: 'overlay2' },
    RootFS: {
      Type: 'layers',
      ...(config.rootfs.diff_ids.length > 0 && { Layers: config.rootfs.diff_ids }),
    },
    Metadata: { LastTagTime: taggedAtMs === 0 ? ZERO_TIME : new Date(taggedAtMs).toISOString() },
  };
}

function configShape(run: RunConfig): object {
  return {
    Hostname: '',
    Domainname: '',
    User: run.User ?? '',
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    ...(run.ExposedPorts && { ExposedPorts: run.ExposedPorts }),
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: run.Env ?? null,
    Cmd: run.Cmd ?? null,
    ...(run.Healthcheck && { Healthcheck: run.Healthcheck }),
    ...(run.ArgsEscaped && { ArgsEscaped: true }),
    Image: '',
    Volumes: run.Volumes ?? null,
    WorkingDir: run.WorkingDir ?? '',
    Entrypoint: run.Entrypoint ?? null,
    OnBuild: run.OnBuild ?? null,
    Labels: run.Labels ?? null,
    ...(run.StopSignal && { StopSignal: run.StopSignal }),
    ...(run.StopTimeout !== undefined && { StopTimeout: run.StopTimeout }),
    ...(run.Shell && { Shell: run.Shell }),
  };
}

/** Where the layers are: the topmost is called upper, as Docker does. Null for an image without. */
function graphData(store: ImageStore, image: StoredImage): object | null {
  const [top, ...lowers] = image.chain.length > 0 ? store.layers(image.id) : [];
  if (top === undefined) return null;
  return {
    ...(lowers.length > 0 && { LowerDir: lowers.join(':') }),
    MergedDir: top,
    UpperDir: top,
    WorkDir: '',
  };
}

/** GET /images/{name}/history, the last step first. Ids are known of steps that were built here. */
export function historyShape(store: ImageStore, image: StoredImage): object[] {
  const sizes = image.chain.map((chainId) => store.layerStore.get(chainId)?.size ?? 0);
  const steps = (image.config.history ?? []).map((step) => ({
    step,
    size: step.empty_layer ? 0 : (sizes.shift() ?? 0),
  }));
  let current: StoredImage | undefined = image;
  return steps.reverse().map(({ step, size }) => {
    const known = current;
    current = known?.parent === undefined ? undefined : store.table.get(known.parent);
    const tags = known ? tagsOf(store.table.namesOf(known.id)) : [];
    return {
      Id: known?.id ?? '<missing>',
      Created: Math.floor(Date.parse(step.created ?? '') / 1000) || 0,
      CreatedBy: step.created_by ?? '',
      Tags: tags.length > 0 ? tags : null,
      Size: size,
      Comment: step.comment ?? '',
    };
  });
}
