import { attachUpgrade } from '#agent/api/attach-socket.ts';
import { containerFileRoutes } from '#agent/api/container-files.ts';
import { containerRoutes } from '#agent/api/containers.ts';
import { eventRoutes } from '#agent/api/events.ts';
import { execRoutes } from '#agent/api/exec.ts';
import { networkRoutes } from '#agent/api/networks.ts';
import { systemRoutes } from '#agent/api/system.ts';
import { volumeRoutes } from '#agent/api/volumes.ts';
import type { Engine } from '#agent/core/open-engine.ts';
import { nullLog } from '#proto/base/log.ts';
import { type ApiServer, type Listen, serveApi } from '#proto/http/server.ts';
import type { Route } from '#proto/http/types.ts';

/** The routes of one machine, without images. */
export function engineRoutes(engine: Engine): Route[] {
  const modules = { engine };
  return [
    ...systemRoutes(modules),
    ...containerRoutes(modules),
    ...containerFileRoutes(modules),
    ...execRoutes(modules),
    ...networkRoutes(modules),
    ...volumeRoutes(modules),
    ...eventRoutes(modules),
  ];
}

export function serveEngine(engine: Engine, listen: readonly Listen[]): Promise<ApiServer> {
  return serveApi(
    { listen, routes: engineRoutes(engine), upgrade: attachUpgrade({ engine }) },
    { log: nullLog },
  );
}
