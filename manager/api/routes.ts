import type { Route } from '#proto/http/types.ts';
import { type Handlers, handlersOf } from './handlers.ts';
import { logRoutes } from './logs.ts';
import type { ClusterApiModules } from './manager.ts';
import { networkCallRoutes } from './networks.ts';
import { nodeRoutes } from './nodes.ts';
import { secretRoutes } from './secrets.ts';
import { serviceRoutes } from './services.ts';
import { swarmRoutes } from './swarm.ts';
import { taskRoutes } from './tasks.ts';

/** Everything about the cluster in the Engine API but its networks, whose routes are the node's (`clusterNetworks`). */
export function clusterRoutes(modules: ClusterApiModules): Route[] {
  return routesOf(handlersOf(modules), modules);
}

/** What a manager that leads runs for others: the same, and changes to networks. */
export function leaderRoutes(modules: ClusterApiModules): Route[] {
  const handlers = handlersOf(modules);
  return [...routesOf(handlers, modules), ...networkCallRoutes(handlers, modules)];
}

function routesOf(handlers: Handlers, modules: ClusterApiModules): Route[] {
  return [
    ...swarmRoutes(handlers, modules),
    ...nodeRoutes(handlers),
    ...serviceRoutes(handlers),
    ...taskRoutes(handlers),
    ...logRoutes(handlers),
    ...secretRoutes(handlers),
  ];
}
