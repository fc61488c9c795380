/*
 * A process in a network namespace that does what it is told over IPC: serves HTTP and UDP, asks others, puts load on
 * them. One for each container and host of a test's topology.
 */
import dgram from 'node:dgram';
import http from 'node:http';
import net from 'node:net';
import packet from 'dns-packet';

export interface LoadReport {
  readonly answered: number;
  readonly failed: readonly string[];
  /** How often each server answered. */
  readonly by: Readonly<Record<string, number>>;
}

/** An answer that is to come may take so long; who expects none waits shorter. */
const ANSWER_MS_MAX = 60_000;

const verbs = { serve, ask, askUdp, askDns, startLoad, stopLoad, reset };
export type Verbs = typeof verbs;

let server: http.Server | undefined;
let udp: readonly dgram.Socket[] = [];

/** Answers `name client-address` at this port, by HTTP and UDP. */
async function serve(name: string, port: number): Promise<void> {
  server = http.createServer((request, response) => {
    response.end(`${name} ${(request.socket.remoteAddress ?? '').replace('::ffff:', '')}`);
  });
  server.keepAliveTimeout = 75_000;
  await new Promise<void>((resolve) => server?.listen({ port, host: '::', backlog: 4_096 }, resolve));
  udp = [dgram.createSocket('udp4'), dgram.createSocket({ type: 'udp6', ipv6Only: true })];
  await Promise.all(udp.map((socket) => answerUdp(socket, name, port)));
}

async function answerUdp(socket: dgram.Socket, name: string, port: number): Promise<void> {
  socket.on('message', (_, from) => socket.send(`${name} ${from.address}`, from.port, from.address));
  await new Promise<void>((resolve) => {
    // A namespace may be without IPv6.
    socket.once('error', () => resolve());
    socket.bind(port, resolve);
  });
}

/** Stops to serve: what is open is finished politely, or reset. */
async function reset(how: 'politely' | 'at once'): Promise<void> {
  for (const socket of udp) socket.close();
  udp = [];
  if (how === 'at once') server?.closeAllConnections();
  await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
  server = undefined;
}

interface AskOpts {
  readonly localPort?: number;
  readonly timeoutMs?: number;
}

/** The answer, or the error's code. */
function ask(host: string, port: number, opts: AskOpts = {}): Promise<string> {
  return new Promise((resolve) => {
    const request = http.get(
      { host, port, agent: false, timeout: opts.timeoutMs ?? ANSWER_MS_MAX, ...localPort(opts) },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve(Buffer.concat(chunks).toString()));
      },
    );
    request.on('timeout', () => request.destroy(Object.assign(new Error('silence'), { code: 'silence' })));
    request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

function localPort(opts: AskOpts): { localPort?: number } {
  return opts.localPort === undefined ? {} : { localPort: opts.localPort };
}

/** The answer to one datagram, from a fresh port unless one is named. */
function askUdp(host: string, port: number, timeoutMs = ANSWER_MS_MAX, from = 0): Promise<string> {
  return new Promise((resolve) => {
    const socket = dgram.createSocket(net.isIPv6(host) ? 'udp6' : 'udp4');
    const finish = (answer: string): void => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => finish('silence'), timeoutMs);
    socket.on('message', (answer) => finish(answer.toString()));
    socket.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
    socket.bind(from, () => socket.connect(port, host, () => socket.send('?')));
  });
}

/** Sorted addresses or names, or the failure's name, that the resolver at 127.0.0.11 gives. */
function askDns(name: string, type: 'A' | 'AAAA' | 'PTR', transport: 'udp' | 'tcp'): Promise<string> {
  const query = packet.encode({
    type: 'query',
    id: 7,
    flags: packet.RECURSION_DESIRED,
    questions: [{ type, name }],
  });
  const shown = (answer: Buffer): string => {
    const { rcode, answers } = packet.decode(answer) as packet.DecodedPacket & { rcode: string };
    const data = (answers ?? []).map((one) => ('data' in one ? String(one.data) : '')).sort();
    return rcode === 'NOERROR' ? data.join() : rcode;
  };
  return new Promise((resolve) => {
    const fail = (error: Error & { code?: string }): void => resolve(error.code ?? error.message);
    if (transport === 'tcp') {
      const socket = net.connect(53, '127.0.0.11', () => {
        socket.write(Buffer.concat([Buffer.from([query.length >> 8, query.length & 255]), query]));
      });
      socket.setTimeout(ANSWER_MS_MAX, () => fail(new Error('silence')));
      socket.on('error', fail);
      socket.on('data', (chunk: Buffer) => {
        resolve(shown(chunk.subarray(2)));
        socket.destroy();
      });
      return;
    }
    const socket = dgram.createSocket('udp4');
    socket.on('error', fail);
    socket.on('message', (answer) => {
      resolve(shown(answer));
      socket.close();
    });
    socket.connect(53, '127.0.0.11', () => socket.send(query));
  });
}

interface Load {
  stopAt: number;
  done: Promise<LoadReport>;
}

let loading: Load | undefined;

/** Asks again and again, each time by a new connection, from a few clients at once, until told to stop. */
function startLoad(host: string, port: number, clients: number): void {
  let answered = 0;
  const failed: string[] = [];
  const by: Record<string, number> = {};
  const client = async (load: Load): Promise<void> => {
    while (answered < load.stopAt) {
      const answer = await ask(host, port);
      const [name, ...rest] = answer.split(' ');
      if (rest.length === 0) failed.push(answer);
      else by[name as string] = (by[name as string] ?? 0) + 1;
      answered++;
      // Bounded: the machine is shared.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  loading = { stopAt: Number.POSITIVE_INFINITY, done: Promise.resolve({ answered, failed, by }) };
  const all = Array.from({ length: clients }, () => client(loading as Load));
  loading.done = Promise.all(all).then(() => ({ answered, failed, by }));
}

/** Stops as soon as so many have been answered. */
async function stopLoad(atLeast = 0): Promise<LoadReport> {
  if (loading === undefined) throw new Error('there is no load');
  loading.stopAt = atLeast;
  return await loading.done;
}

interface Call {
  readonly id: number;
  readonly verb: keyof Verbs;
  readonly args: readonly unknown[];
}

process.on('message', (call: Call) => {
  const verb = verbs[call.verb] as (...args: readonly unknown[]) => unknown;
  Promise.resolve()
    .then(() => verb(...call.args))
    .then(
      (value) => process.send?.({ id: call.id, value }),
      (error: Error) => process.send?.({ id: call.id, error: error.message }),
    );
});
process.on('disconnect', () => process.exit());
