import { PacketSocket } from './linux/seqpacket.ts';

/** A client this far behind makes the container wait for it. */
const BEHIND_BYTES_MAX = 1024 * 1024;

export interface OutputChunk {
  readonly stream: 'stdout' | 'stderr';
  readonly data: Buffer;
}

/** Somebody attached to the streams of a container. */
export interface Attachment {
  /** Ends when the container's process does, or on `close`. */
  readonly output: AsyncIterable<OutputChunk>;
  /** Resolves when the container has taken it, which is not before it starts; after its end it is dropped. */
  write(data: Uint8Array): Promise<void>;
  /** No more input from here: a container whose input is to be closed once gets its end of file. */
  endInput(): Promise<void>;
  close(): void;
}

/**
 * The streams of one container, shared by everybody attached to it. There is one connection to its conmon, made when
 * somebody wants it and before the process is let go, so that no output is missed.
 */
export class ContainerIo {
  readonly #stdinOnce: boolean;
  #session: Session;

  /** `stdinOnce`: standard input closes when the first client that feeds it ends. */
  constructor(opts: { stdinOnce: boolean }) {
    this.#stdinOnce = opts.stdinOnce;
    this.#session = new Session(opts.stdinOnce);
  }

  /** `path`: where conmon listens, when the container runs already. */
  attach(path: string | undefined): Attachment {
    const attachment = this.#session.attach();
    if (path !== undefined) this.#session.connect(path);
    return attachment;
  }

  get isWanted(): boolean {
    return this.#session.isWanted;
  }

  connect(path: string): void {
    this.#session.connect(path);
  }

  /** The process has ended, or never was. Who is attached still gets what it said; the next run is another matter. */
  finish(): void {
    this.#session.finish();
    this.#session = new Session(this.#stdinOnce);
  }

  /** The engine stops: the container runs on, nobody here listens to it any more. */
  close(): void {
    this.#session.close();
  }

  /** From now on nobody makes the container wait: who is too far behind is cut off. Before it is killed. */
  stopWaiting(): void {
    this.#session.stopWaiting();
  }
}

/** The streams of one run of a container. */
class Session {
  readonly #stdinOnce: boolean;
  readonly #clients = new Set<Client>();
  #connection: PacketSocket | undefined;
  /** Resolves with the next connection, or with nothing when there will be none. */
  #next = Promise.withResolvers<PacketSocket | undefined>();

  constructor(stdinOnce: boolean) {
    this.#stdinOnce = stdinOnce;
  }

  get isWanted(): boolean {
    return this.#clients.size > 0;
  }

  attach(): Attachment {
    const client = new Client(() => this.#resumeIfAllKeepUp());
    this.#clients.add(client);
    const connection = async (): Promise<PacketSocket | undefined> => this.#connection ?? this.#next.promise;
    return {
      output: client,
      write: async (data) => (await connection())?.write(data).catch(() => undefined),
      endInput: async () => {
        if (this.#stdinOnce) (await connection())?.socket.end();
      },
      close: () => this.#leave(client),
    };
  }

  connect(path: string): void {
    if (this.#connection) return;
    const connection = new PacketSocket(path);
    this.#connection = connection;
    this.#next.resolve(connection);
    this.#next = Promise.withResolvers();
    connection.socket.on('data', (packet: Buffer) => this.#spread(packet));
    connection.socket.on('error', () => connection.socket.destroy());
    connection.socket.once('end', () => connection.socket.destroy());
    connection.socket.once('close', () => this.#ended(connection));
  }

  /** A connection ends by itself when conmon has gone and everything was read. */
  finish(): void {
    if (this.#connection === undefined) this.#endAll();
  }

  close(): void {
    this.#endAll();
    this.#connection?.socket.destroy();
  }

  stopWaiting(): void {
    for (const client of this.#clients) if (client.bytesBehind > BEHIND_BYTES_MAX) this.#leave(client);
    this.#connection?.socket.resume();
  }

  #ended(connection: PacketSocket): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    this.#endAll();
  }

  #endAll(): void {
    this.#next.resolve(undefined);
    for (const client of this.#clients) client.end();
    this.#clients.clear();
  }

  /** The first byte of a packet says which stream it is of: 2 stdout, 3 stderr. */
  #spread(packet: Buffer): void {
    const chunk: OutputChunk = { stream: packet[0] === 3 ? 'stderr' : 'stdout', data: packet.subarray(1) };
    for (const client of this.#clients) client.push(chunk);
    if (!this.#allKeepUp()) this.#connection?.socket.pause();
  }

  #allKeepUp(): boolean {
    return [...this.#clients].every(({ bytesBehind }) => bytesBehind < BEHIND_BYTES_MAX);
  }

  #resumeIfAllKeepUp(): void {
    if (this.#connection?.socket.isPaused() && this.#allKeepUp()) this.#connection.socket.resume();
  }

  #leave(client: Client): void {
    client.end();
    this.#clients.delete(client);
    this.#resumeIfAllKeepUp();
    // Closing the connection closes the input of a container that closes it once: others may still be to come.
    if (this.#clients.size > 0 || this.#stdinOnce) return;
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.socket.destroy();
  }
}

/** What one client has not read yet. */
class Client implements AsyncIterable<OutputChunk> {
  bytesBehind = 0;
  readonly #chunks: OutputChunk[] = [];
  readonly #onRead: () => void;
  #ended = false;
  #wake: () => void = () => undefined;

  constructor(onRead: () => void) {
    this.#onRead = onRead;
  }

  push(chunk: OutputChunk): void {
    this.bytesBehind += chunk.data.length;
    this.#chunks.push(chunk);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<OutputChunk> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk) {
        this.bytesBehind -= chunk.data.length;
        this.#onRead();
        yield chunk;
      } else if (this.#ended) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}
