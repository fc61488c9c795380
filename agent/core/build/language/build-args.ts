import type { Environment } from './shell-words.ts';

/** Every build may be given these, and they never show in the image or its history unless an ARG names them. */
const PREDEFINED: readonly string[] = [
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'FTP_PROXY',
  'NO_PROXY',
  'ALL_PROXY',
].flatMap((name) => [name, name.toLowerCase()]);

/** Build-time variables: what ARG declares, with the values that `--build-arg` gives. */
export class BuildArgs {
  readonly #given: ReadonlyMap<string, string>;
  /** What the platform says, for ARGs that ask. */
  readonly #platform: ReadonlyMap<string, string>;
  readonly #meta = new Map<string, string | undefined>();
  readonly #referenced = new Set<string>();
  #declared = new Map<string, string | undefined>();

  constructor(given: ReadonlyMap<string, string>, platform: ReadonlyMap<string, string>) {
    this.#given = given;
    this.#platform = platform;
  }

  /** ARG before the first FROM: holds in FROM lines, and gives its value to an ARG without one in a stage. */
  declareMeta(name: string, value: string | undefined): void {
    this.#referenced.add(name);
    this.#meta.set(name, value);
  }

  /** ARG in a stage. */
  declare(name: string, value: string | undefined): void {
    this.#referenced.add(name);
    this.#declared.set(name, value);
  }

  /** What a stage declared ends with it. */
  endStage(): void {
    this.#declared = new Map();
  }

  /** Variables in FROM lines. */
  meta(): Environment {
    const env = new Map(this.#platform);
    for (const name of [...this.#meta.keys(), ...PREDEFINED]) this.#put(env, name, this.#meta.get(name));
    return env;
  }

  /** Variables of the stage so far; those that it sets by ENV stand before them. */
  stage(): Environment {
    const env = new Map<string, string>();
    for (const [name, value] of this.#declared) {
      this.#put(env, name, value ?? this.#meta.get(name) ?? this.#platform.get(name));
    }
    for (const name of PREDEFINED) if (!this.#declared.has(name)) this.#put(env, name, undefined);
    return env;
  }

  #put(env: Map<string, string>, name: string, otherwise: string | undefined): void {
    const value = this.#given.get(name) ?? otherwise;
    if (value !== undefined) env.set(name, value);
  }

  /** Whether the value is part of what a step is: cached by it, and seen in the history. */
  counts(name: string): boolean {
    return this.#referenced.has(name) || !PREDEFINED.includes(name);
  }

  /** Given, and never asked for. */
  unused(): string[] {
    return [...this.#given.keys()]
      .filter((name) => !this.#referenced.has(name) && !PREDEFINED.includes(name))
      .sort();
  }
}
