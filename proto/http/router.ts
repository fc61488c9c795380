import type { Route } from './types.ts';

interface Compiled {
  readonly route: Route;
  readonly pattern: RegExp;
}

/** Finds the route of a request: the first that matches, in the order given. */
export class Router {
  readonly #byMethod = new Map<string, Compiled[]>();

  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      const list = this.#byMethod.get(route.method) ?? [];
      list.push({ route, pattern: patternOf(route.path) });
      this.#byMethod.set(route.method, list);
    }
  }

  /** `path` has no version prefix. Undefined when no route matches, or only with another method. */
  find(method: string, path: string): { route: Route; params: Record<string, string> } | undefined {
    for (const { route, pattern } of this.#byMethod.get(method) ?? []) {
      const match = pattern.exec(path);
      if (match) return { route, params: decodeAll(match.groups ?? {}) };
    }
    return undefined;
  }
}

function patternOf(path: string): RegExp {
  const source = path.replace(/\{(\w+)(\*?)\}/g, (_all, name: string, rest: string) => {
    return rest ? `(?<${name}>.+)` : `(?<${name}>[^/]+)`;
  });
  return new RegExp(`^${source}$`);
}

function decodeAll(groups: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(groups).map(([name, value]) => [name, decoded(value)]));
}

/** A broken escape is taken literally: the object will not be found, which is what the client should hear. */
function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
