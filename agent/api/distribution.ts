import { ShoalError } from '#proto/base/errors.ts';
import { type ApiRequest, json, type Reply, type Route } from '#proto/http/types.ts';
import type { RegistryAuth } from '../core/engine.ts';
import type { Images } from '../core/image/images.ts';
import type { Registries } from '../core/registry/registries.ts';
import { authOf, registryAuth } from './registry-auth.ts';

export interface DistributionRouteModules {
  readonly images: Pick<Images, 'resolve'>;
  readonly registries: Pick<Registries, 'login'>;
}

/** What references stand for, and whether registries know us: /distribution/…, /auth. */
export function distributionRoutes(modules: DistributionRouteModules): Route[] {
  return [
    { method: 'GET', path: '/distribution/{name*}/json', handle: (request) => inspect(request, modules) },
    { method: 'POST', path: '/auth', handle: (request) => login(request, modules) },
  ];
}

async function inspect(
  { params, headers, signal }: ApiRequest,
  { images }: DistributionRouteModules,
): Promise<Reply> {
  const { digest, mediaType, size, platforms } = await images.resolve(
    params['name'] ?? '',
    registryAuth(headers),
    signal,
  );
  return json({ Descriptor: { mediaType, digest, size }, Platforms: platforms });
}

async function login(request: ApiRequest, { registries }: DistributionRouteModules): Promise<Reply> {
  const auth: RegistryAuth = authOf(await request.json<Record<string, unknown>>());
  if (auth.username === undefined && auth.identitytoken === undefined) {
    throw new ShoalError('UNAUTHENTICATED', 'unauthorized: incorrect username or password');
  }
  await registries.login(auth, request.signal);
  return json({ IdentityToken: '', Status: 'Login Succeeded' });
}
