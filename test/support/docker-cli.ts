import { spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a docker command said, and how it ended; `code` is null when it was ended for taking too long. */
export interface DockerAnswer {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Where deploy/setup --test puts the client when the machine has none. */
const OWN_CLIENT = join(
  import.meta.dirname,
  '..',
  '..',
  'node_modules',
  '.docker-client',
  'usr',
  'bin',
  'docker',
);
const COMMAND_MAX_MS = 300_000;

/** The real docker CLI, with a configuration of its own so that nothing of the machine's leaks in. */
export class DockerCli implements Disposable {
  readonly #program = dockerClient();
  readonly #config: string;

  constructor(name: string) {
    this.#config = mkdtempSync(join(tmpdir(), `shoal-${name}-docker-`));
  }

  /** Runs `docker ARGS…` against the engine at this socket, to its end. */
  run(socket: string, args: readonly string[], input = ''): Promise<DockerAnswer> {
    return new Promise((resolve, reject) => {
      const child = spawn(this.#program, args, { env: this.#env(socket), timeout: COMMAND_MAX_MS });
      let out = '';
      let err = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
      child.on('error', reject).on('close', (code) => resolve({ code, out, err }));
      // A command that ends without reading is judged by its exit code.
      child.stdin.on('error', () => undefined).end(input);
    });
  }

  #env(socket: string): NodeJS.ProcessEnv {
    return {
      PATH: process.env.PATH,
      HOME: this.#config,
      DOCKER_CONFIG: this.#config,
      DOCKER_HOST: `unix://${socket}`,
      DOCKER_BUILDKIT: '0',
      DOCKER_CLI_HINTS: 'false',
    };
  }

  [Symbol.dispose](): void {
    rmSync(this.#config, { recursive: true, force: true });
  }
}

/** Path of the docker client: the machine's, or the one that was fetched for tests. */
export function dockerClient(): string {
  const folders = (process.env.PATH ?? '').split(':');
  const found = [...folders.map((folder) => join(folder, 'docker')), OWN_CLIENT].find(isProgram);
  if (found === undefined) throw new Error('the docker client is missing: deploy/setup --test fetches it');
  return found;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
