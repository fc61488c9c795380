import { EngineClient } from '#deploy/cli/engine-client.ts';
import { API_VERSION } from './engine.ts';
import { IMAGE, OBEDIENT } from './image.ts';

const IN_FLIGHT = 8;
const LABEL = 'shoal.bench';

/** Containers of one engine through its API, a few at a time. */
export class Containers {
  readonly #client: EngineClient;
  readonly #signal: AbortSignal;

  constructor(socket: string, signal: AbortSignal) {
    this.#client = new EngineClient(`unix://${socket}`, API_VERSION);
    this.#signal = signal;
  }

  /** Creates and starts as many; gives their ids. */
  async start(count: number, network = 'bridge'): Promise<string[]> {
    const ids: string[] = [];
    await severally([...Array(count).keys()], async () => {
      ids.push(await this.startOne(network));
    });
    return ids;
  }

  async startOne(network = 'bridge'): Promise<string> {
    const body = {
      Image: IMAGE,
      Cmd: OBEDIENT,
      Labels: { [LABEL]: '' },
      HostConfig: { NetworkMode: network },
    };
    const { Id: id } = await this.#call<{ Id: string }>('POST', '/containers/create', { body });
    await this.#call('POST', `/containers/${id}/start`);
    return id;
  }

  /** All that were started here. */
  async removeAll(): Promise<void> {
    const query = { all: '1', filters: JSON.stringify({ label: [LABEL] }) };
    const left = await this.#call<{ Id: string }[]>('GET', '/containers/json', { query });
    await severally(left, ({ Id: id }) =>
      this.#call('DELETE', `/containers/${id}`, { query: { force: '1', v: '1' } }),
    );
  }

  #call<T>(method: string, path: string, opts: object = {}): Promise<T> {
    return this.#client.call<T>(method, path, { ...opts, signal: this.#signal });
  }
}

async function severally<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const left = [...items];
  const worker = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
}
