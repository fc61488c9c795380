import type { Sample, Subject } from '../subject.ts';
import { type Fate, failover } from './failover.ts';
import type { Group } from './group.ts';
import { quantile } from './load.ts';
import { putLoad } from './put-load.ts';

/** How long a load runs in one slice. */
export const LOAD_MS = 3_000;
/** Leaders that are taken away in one slice. */
const FAILOVERS = 5;

export type Slice = (signal: AbortSignal) => Promise<readonly Sample[]>;

/** One side of the bench: its group, and what the two sides measure differently. */
export class GroupSubject implements Subject {
  readonly name: string;
  readonly #group: Group;
  readonly #own: Readonly<Record<string, Slice>>;

  constructor(name: string, group: Group, own: Readonly<Record<string, Slice>>) {
    this.name = name;
    this.#group = group;
    this.#own = own;
  }

  start(): Promise<void> {
    return this.#group.start();
  }

  stop(): Promise<void> {
    return this.#group.stop();
  }

  async measure(slice: string, signal: AbortSignal): Promise<readonly Sample[]> {
    const own = this.#own[slice];
    if (own !== undefined) return own(signal);
    if (slice === 'failover') return this.#failovers('killed', slice, signal);
    if (slice === 'hung') return this.#failovers('hung', 'failover-hung', signal);
    const clients = Number(slice.slice('client-'.length));
    const port = this.#group.clientPort(await this.#group.leader());
    const { perSecond } = await putLoad(port, clients, LOAD_MS);
    return [{ figure: `client-put-${clients}-vs-etcd`, value: perSecond }];
  }

  async #failovers(fate: Fate, figure: string, signal: AbortSignal): Promise<readonly Sample[]> {
    const tookMs: number[] = [];
    for (let count = 0; count < FAILOVERS; count++) {
      signal.throwIfAborted();
      tookMs.push(await failover(this.#group, fate));
    }
    const p50 = { figure: `${figure}-p50-ms`, value: quantile(tookMs, 0.5) };
    return fate === 'hung' ? [p50] : [p50, { figure: `${figure}-max-ms`, value: Math.max(...tookMs) }];
  }
}
