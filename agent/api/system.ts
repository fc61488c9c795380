import { ShoalError } from '#proto/base/errors.ts';
import { type ApiRequest, json, type Reply, type Route } from '#proto/http/types.ts';
import { API_MINOR_MAX, API_MINOR_MIN, ENGINE_VERSION, SHOAL_VERSION } from '#proto/types/version.ts';
import type { Engine } from '../core/open-engine.ts';
import { listView } from './container-list.ts';
import type { ImageFacts } from './image-facts.ts';
import { type InfoOpts, infoView } from './info.ts';
import { volumeView } from './volumes.ts';

export interface SystemModules {
  readonly engine: Engine;
  /** Info.Swarm, and what the header `Swarm` of a ping says. */
  readonly swarm?: () => { readonly info: Promise<unknown> | unknown; readonly header: string };
  readonly images?: ImageFacts;
  readonly opts?: InfoOpts;
}

/** The machine and this daemon as a whole. */
export function systemRoutes(modules: SystemModules): Route[] {
  return [
    { method: 'GET', path: '/_ping', handle: () => ping(modules, 'OK') },
    { method: 'HEAD', path: '/_ping', handle: () => ping(modules, '') },
    { method: 'GET', path: '/version', handle: () => json(versionView(modules.engine)) },
    { method: 'GET', path: '/info', handle: async () => json(await info(modules)) },
    { method: 'GET', path: '/plugins', handle: () => json([]) },
    { method: 'GET', path: '/system/df', handle: (request) => df(modules, request) },
  ];
}

function ping({ swarm }: SystemModules, body: string): Reply {
  return {
    kind: 'bytes',
    status: 200,
    contentType: 'text/plain; charset=utf-8',
    body: Buffer.from(body),
    headers: {
      'Builder-Version': '1',
      'Cache-Control': 'no-cache, no-store, must-revalidate',
      Pragma: 'no-cache',
      Swarm: swarm?.().header ?? 'inactive',
    },
  };
}

const ARCH: Readonly<Record<string, string>> = { x86_64: 'amd64', aarch64: 'arm64' };

function versionView({ parts: { machine } }: Engine): Record<string, unknown> {
  const api = { ApiVersion: `1.${API_MINOR_MAX}`, MinAPIVersion: `1.${API_MINOR_MIN}` };
  const build = { GitCommit: `shoal-${SHOAL_VERSION}`, GoVersion: `node-${process.version}`, BuildTime: '' };
  const Arch = ARCH[machine.architecture] ?? machine.architecture;
  const place = { Os: 'linux', Arch, KernelVersion: machine.kernel };
  return {
    Platform: { Name: `Shoal ${SHOAL_VERSION}` },
    Components: [
      {
        Name: 'Engine',
        Version: ENGINE_VERSION,
        Details: { ...api, ...build, ...place, Experimental: 'false' },
      },
    ],
    Version: ENGINE_VERSION,
    Experimental: false,
    ...api,
    ...build,
    ...place,
  };
}

const INACTIVE = {
  NodeID: '',
  NodeAddr: '',
  LocalNodeState: 'inactive',
  ControlAvailable: false,
  Error: '',
  RemoteManagers: null,
};

async function info({ engine, swarm, images, opts = {} }: SystemModules): Promise<Record<string, unknown>> {
  return { ...infoView(engine, opts, images?.count() ?? 0), Swarm: (await swarm?.().info) ?? INACTIVE };
}

const DF_TYPES = ['container', 'image', 'volume', 'build-cache'];

async function df({ engine, images }: SystemModules, { query }: ApiRequest): Promise<Reply> {
  const types = query.getAll('type');
  const unknown = types.find((type) => !DF_TYPES.includes(type));
  if (unknown !== undefined) throw new ShoalError('INVALID_ARGUMENT', `unknown object type: ${unknown}`);
  const wants = (type: string): boolean => types.length === 0 || types.includes(type);
  const usage = wants('image') ? images?.usage() : undefined;
  return json({
    LayersSize: usage?.LayersSize ?? 0,
    Images: usage?.Images ?? [],
    Containers: wants('container') ? await containerUsage(engine) : [],
    Volumes: wants('volume') ? await volumeUsage(engine) : [],
    BuildCache: (wants('build-cache') ? images?.buildCache() : undefined) ?? [],
  });
}

function containerUsage({ containers, parts }: Engine): Promise<Record<string, unknown>[]> {
  const nowMs = parts.clock.wallMs();
  return Promise.all(
    containers.all().map(async (container) => {
      const { id, imageId } = container.spec;
      return {
        ...listView(container, nowMs),
        SizeRw: await parts.rootfs.changedBytes(id),
        SizeRootFs: await parts.rootfs.totalBytes(id, imageId),
      };
    }),
  );
}

function volumeUsage(engine: Engine): Promise<Record<string, unknown>[]> {
  const { volumes } = engine.parts;
  return Promise.all(
    volumes.list().map(async (record) => ({
      ...volumeView(engine, record),
      UsageData: { RefCount: volumes.users(record.name).length, Size: await volumes.bytes(record.name) },
    })),
  );
}
