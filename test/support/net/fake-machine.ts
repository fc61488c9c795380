import type { NetMachine } from '#agent/net/net-machine.ts';

/** A machine without a network: takes every command, notes it, and fails those it is told to. */
export class FakeMachine implements NetMachine {
  readonly said: string[] = [];
  readonly ownNetns = '/proc/self/ns/net';
  readonly namespaces = new Set<string>();
  /** What is wrong with a command, or nothing. */
  fault: (command: string) => string | undefined = () => undefined;
  /** Held up while this is pending. */
  hold: Promise<void> = Promise.resolve();
  readonly forgotten: string[] = [];

  readonly commands = {
    run: async (netns: string | undefined, tool: string, lines: readonly string[]) => {
      await this.hold;
      return lines.map((line) => this.#do(`${nameOf(netns)} ${tool}: ${line}`));
    },
    runOnce: async (netns: string | undefined, tool: string, lines: readonly string[]) =>
      await this.commands.run(netns, tool, lines),
    load: async (netns: string | undefined, script: string) =>
      this.#do(`${nameOf(netns)} load: ${script.split('\n').length} lines`),
    query: async () => '[]',
    release: async (netns: string | undefined) => void this.said.push(`${nameOf(netns)} release`),
  };

  createNamespace(path: string): void {
    this.namespaces.add(path);
  }

  offerNamespace(): Disposable {
    return { [Symbol.dispose]: () => undefined };
  }

  removeNamespace(path: string): void {
    this.namespaces.delete(path);
  }

  isNamespace(path: string): boolean {
    return this.namespaces.has(path);
  }

  namespaceFiles(): string[] {
    return [...this.namespaces].map((path) => nameOf(path));
  }

  setSettings(): void {}

  canBind(): boolean {
    return true;
  }

  openSockets(): [] {
    return [];
  }

  addresses(): ReadonlyMap<string, readonly string[]> {
    return new Map([['eth0', ['10.90.0.1']]]);
  }

  addresses6(): readonly string[] {
    return ['fd00:90::1'];
  }

  async forgetFlows(
    netns: string | undefined,
    protocol: string,
    addresses: ReadonlySet<string>,
  ): Promise<number> {
    this.forgotten.push(`${nameOf(netns)} ${protocol} ${[...addresses].join()}`);
    return 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #do(command: string): string | undefined {
    this.said.push(command);
    return this.fault(command);
  }
}

function nameOf(netns: string | undefined): string {
  return netns === undefined ? 'node' : (netns.split('/').at(-1) as string);
}
