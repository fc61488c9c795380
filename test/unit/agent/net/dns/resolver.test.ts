import dgram from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import packet, { type DecodedPacket } from 'dns-packet';
import { Forwarder, framed, TcpMessages } from '#agent/net/dns/forward.ts';
import { type Asker, Resolver } from '#agent/net/dns/resolver.ts';
import { HostUpstreams, nameserversIn } from '#agent/net/dns/upstreams.ts';
import { type Clock, systemClock } from '#proto/base/clock.ts';
import { nullLog } from '#proto/base/log.ts';
import { seededRandom } from '#proto/base/random.ts';
import { freePort } from '#test/support/free-port.ts';

const ADDRESS = '127.0.0.1';
const UP = ['127.0.0.2', '127.0.0.3'];

/** A resolver outside, at one address: answers every question with this code and address. */
async function upstream(
  address: string,
  port: number,
  rcode: number,
  data?: string,
): Promise<Disposable & { port: number }> {
  const answer = (query: Buffer): Buffer => {
    const { id, questions } = packet.decode(query);
    const name = questions?.[0]?.name ?? '';
    const answers = data === undefined ? [] : [{ type: 'A' as const, name, ttl: 1, data }];
    return packet.encode({
      type: 'response',
      id: id ?? 0,
      flags: rcode,
      questions: questions ?? [],
      answers,
    });
  };
  const udp = dgram.createSocket('udp4');
  udp.on('message', (query, from) => udp.send(answer(query), from.port, from.address));
  udp.bind(port, address);
  await once(udp, 'listening');
  const tcp = net.createServer((client) => {
    const messages = new TcpMessages((query) => client.write(framed(answer(query))));
    client.on('data', (chunk: Buffer) => messages.take(chunk));
    client.on('error', () => undefined);
  });
  tcp.listen(udp.address().port, address);
  await once(tcp, 'listening');
  return {
    port: udp.address().port,
    [Symbol.dispose]: () => {
      udp.close();
      tcp.close();
    },
  };
}

async function open(port: number, asker: Asker | undefined): Promise<Resolver> {
  // An answer is waited for longer than a busy machine may take over it.
  const timer: Clock['timer'] = (ms, fire) => systemClock.timer(60 * ms, fire);
  const forwarder = new Forwarder({ port }, { clock: { timer }, random: seededRandom(1) });
  const askerAt = (): Asker | undefined => asker;
  return await Resolver.open(
    { address: ADDRESS, ports: [await freePort()] },
    { askerAt, forwarder, log: nullLog },
  );
}

function askerOf(upstreams: readonly string[]): Asker {
  const addressesOf = (name: string): string[] | undefined => (name === 'web' ? ['10.0.1.200'] : undefined);
  return { names: { addressesOf, nameOf: () => undefined }, upstreams };
}

function shown(answer: Buffer): string {
  const { rcode, answers, id } = packet.decode(answer) as DecodedPacket & { rcode: string };
  return [id, rcode, ...(answers ?? []).map((one) => ('data' in one ? String(one.data) : ''))].join(' ');
}

async function ask(resolver: Resolver, name: string, transport: 'udp' | 'tcp' = 'udp'): Promise<string> {
  const query = packet.encode({ type: 'query', id: 5, questions: [{ name, type: 'A' }] });
  if (transport === 'tcp') {
    const socket = net.connect(resolver.port, ADDRESS);
    socket.write(framed(query));
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return shown(chunk.subarray(2));
  }
  const socket = dgram.createSocket('udp4');
  socket.send(query, resolver.port, ADDRESS);
  const [answer] = (await once(socket, 'message')) as [Buffer];
  socket.close();
  return shown(answer);
}

test('names of ours are answered here, others by the one that is asked, by the same transport and with the same id', async (t) => {
  using outside = await upstream(UP[0] as string, await freePort(), 0, '192.0.2.7');
  await using resolver = await open(outside.port, askerOf([UP[0] as string]));
  for (const transport of ['udp', 'tcp'] as const) {
    t.is(await ask(resolver, 'web', transport), '5 NOERROR 10.0.1.200');
    t.is(await ask(resolver, 'example.com', transport), '5 NOERROR 192.0.2.7');
  }
});

test('a resolver that fails, refuses or is not there is passed over; only if all do, its failure is passed on', async (t) => {
  const [first = '', second = ''] = UP;
  using failing = await upstream(first, await freePort(), 2);
  using good = await upstream(second, failing.port, 0, '192.0.2.8');
  await using both = await open(good.port, askerOf(['127.0.0.4', first, second]));
  t.is(await ask(both, 'example.com'), '5 NOERROR 192.0.2.8');
  await using poor = await open(failing.port, askerOf([first, '127.0.0.4']));
  t.is(await ask(poor, 'example.com'), '5 SERVFAIL');
});

test('whoever has no way out is told at once that there is no such name', async (t) => {
  await using resolver = await open(9, askerOf([]));
  t.is(await ask(resolver, 'example.com'), '5 NXDOMAIN');
});

test('strangers are refused', async (t) => {
  await using resolver = await open(9, undefined);
  t.is(await ask(resolver, 'web'), '5 REFUSED');
});

test('a port that is taken is passed over for the next', async (t) => {
  await using first = await open(9, askerOf([]));
  const modules = { askerAt: () => undefined, forwarder: { ask: async () => undefined }, log: nullLog };
  await using second = await Resolver.open(
    { address: ADDRESS, ports: [first.port, await freePort()] },
    modules,
  );
  t.not(second.port, first.port);
  t.is(await ask(first, 'web'), '5 NOERROR 10.0.1.200');
  await t.throwsAsync(Resolver.open({ address: ADDRESS, ports: [first.port] }, modules), {
    code: 'EADDRINUSE',
  });
});

test('messages come out of a stream whole, however it is cut', (t) => {
  const seen: string[] = [];
  const messages = new TcpMessages((message) => seen.push(message.toString()));
  const stream = Buffer.concat([framed(Buffer.from('one')), framed(Buffer.from('two'))]);
  for (const byte of stream) messages.take(Buffer.from([byte]));
  messages.take(stream);
  t.deepEqual(seen, ['one', 'two', 'one', 'two']);
});

test('upstreams: the machine’s own, those of systemd where it answers itself, read again when they change', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-test-upstreams-'));
  try {
    const [own, systemd] = [join(directory, 'resolv.conf'), join(directory, 'systemd.conf')];
    const upstreams = new HostUpstreams(own, systemd);
    t.deepEqual(upstreams.get(), []);
    writeFileSync(own, 'search example\nnameserver 192.0.2.1\nnameserver fe80::1\nnameserver 192.0.2.2\n');
    t.deepEqual(upstreams.get(), ['192.0.2.1', '192.0.2.2']);
    writeFileSync(systemd, 'nameserver 192.0.2.3\n');
    writeFileSync(own, 'nameserver 127.0.0.53\noptions edns0 trust-ad\n');
    t.deepEqual(upstreams.get(), ['192.0.2.3']);
    t.is(nameserversIn('nameserver 1.1.1.1\n'.repeat(5)).length, 3);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
