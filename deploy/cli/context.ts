import type { Command } from 'commander';
import { ApiError, EngineClient } from './engine-client.ts';

export const DEFAULT_HOST = 'unix:///run/shoal/docker.sock';

/** The engine that this invocation speaks to: --host, else SHOAL_HOST, else DOCKER_HOST, else the local daemon. */
export function clientFor(command: Command): EngineClient {
  const { host } = command.optsWithGlobals<{ host?: string }>();
  return new EngineClient(host ?? process.env['SHOAL_HOST'] ?? process.env['DOCKER_HOST'] ?? DEFAULT_HOST);
}

/** Runs a command for each name, saying what failed, as Docker does; the exit code is 1 when any did. */
export async function forEach(
  names: readonly string[],
  work: (name: string) => Promise<unknown>,
): Promise<void> {
  for (const name of names) {
    try {
      await work(name);
      console.log(name);
    } catch (error) {
      console.error(explain(error));
      process.exitCode = 1;
    }
  }
}

/** What a person is told of a failure. */
export function explain(error: unknown): string {
  if (error instanceof ApiError) return `Error response from daemon: ${error.message}`;
  const { syscall, message } = error as NodeJS.ErrnoException;
  // A file that is not there fails alike, in another call.
  if (syscall === 'connect') {
    return `Cannot reach the Shoal daemon: ${message}. Is shoald running? Name another one with --host.`;
  }
  return message;
}

/** Adds an option that may be given several times. */
export function list(value: string, before: string[] = []): string[] {
  return [...before, value];
}

/** `key=value` items as a map; an item without `=` has an empty value. */
export function mapOf(items: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    items.map((item) => {
      const at = item.indexOf('=');
      return at < 0 ? [item, ''] : [item.slice(0, at), item.slice(at + 1)];
    }),
  );
}
