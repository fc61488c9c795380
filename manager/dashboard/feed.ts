import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Clock } from '#proto/base/clock.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { Store } from '../store/view.ts';
import { type LoadPicture, pictureOf } from './picture.ts';

/** At most so often a picture is sent, however much happens. */
const SEND_EVERY_MS = 100;
/** A viewer that is this far behind is passed over until it has caught up. */
const UNSENT_BYTES_MAX = 1024 * 1024;
const VIEWERS_MAX = 100;
/** What a load reported is shown for so long after its last word. */
const LOAD_SHOWN_MS = 10_000;

export interface FeedModules {
  readonly clock: Clock;
  readonly store: Pick<Store, 'view' | 'subscribe'>;
  readonly leader: () => NodeId | undefined;
}

/** Sends the picture of the cluster to every viewer, whenever it has changed and they can take it. */
export class Feed implements Disposable {
  readonly #modules: FeedModules;
  readonly #sockets = new WebSocketServer({ noServer: true, maxPayload: 1024 });
  readonly #unsubscribe: () => void;
  #cancelTimer: (() => void) | undefined;
  #load: { readonly picture: LoadPicture; readonly atMs: number } | undefined;

  constructor(modules: FeedModules) {
    this.#modules = modules;
    this.#unsubscribe = modules.store.subscribe(() => this.#soon());
  }

  /** Takes a WebSocket upgrade over. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#sockets.clients.size >= VIEWERS_MAX) return void socket.destroy();
    this.#sockets.handleUpgrade(request, socket, head, (viewer) => {
      viewer.on('error', () => viewer.terminate());
      viewer.send(this.#text());
    });
  }

  /** What a load generator says of its requests. */
  reportLoad(picture: LoadPicture): void {
    this.#load = { picture, atMs: this.#modules.clock.monotonicMs() };
    this.#soon();
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
    this.#cancelTimer?.();
    for (const viewer of this.#sockets.clients) viewer.terminate();
    this.#sockets.close();
  }

  #soon(): void {
    if (this.#sockets.clients.size === 0) return;
    this.#cancelTimer ??= this.#modules.clock.timer(SEND_EVERY_MS, () => {
      this.#cancelTimer = undefined;
      this.#send();
    });
  }

  #send(): void {
    const text = this.#text();
    for (const viewer of this.#sockets.clients) {
      if (canTake(viewer)) viewer.send(text);
      else this.#soon();
    }
  }

  #text(): string {
    const { store, leader, clock } = this.#modules;
    const shown = this.#load !== undefined && clock.monotonicMs() - this.#load.atMs < LOAD_SHOWN_MS;
    return JSON.stringify(pictureOf(store.view(), leader(), shown ? this.#load?.picture : undefined));
  }
}

function canTake(viewer: WebSocket): boolean {
  return viewer.readyState === viewer.OPEN && viewer.bufferedAmount < UNSENT_BYTES_MAX;
}
