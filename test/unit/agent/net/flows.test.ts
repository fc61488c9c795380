import test from 'ava';
import { deleteMessage, parseFlows } from '#agent/core/linux/conntrack.ts';
import { parseSockets } from '#agent/core/linux/procnet.ts';

test('flows are read with who answers them and their zone, whatever their state', (t) => {
  const text = [
    'udp      17 28 src=10.0.1.13 dst=10.0.1.200 sport=5353 dport=80 src=10.0.1.11 dst=10.0.1.13 sport=80 dport=5353 [ASSURED] mark=0 use=1',
    'udp      17 9 src=10.0.1.13 dst=10.0.1.200 sport=5354 dport=80 [UNREPLIED] src=10.0.1.21 dst=10.0.1.13 sport=80 dport=5354 mark=0 use=1',
    'tcp      6 86399 ESTABLISHED src=10.90.0.100 dst=100.64.16.18 sport=40001 dport=80 src=100.64.16.18 dst=10.90.0.100 sport=80 dport=40001 [ASSURED] mark=1509949442 zone-orig=2 use=1',
    'unknown  2 599 src=172.17.0.1 dst=224.0.0.22 [UNREPLIED] src=224.0.0.22 dst=172.17.0.1 mark=0 use=1',
  ].join('\n');
  t.deepEqual(
    parseFlows(text).map((flow) => [flow.protocol, flow.sourcePort, flow.answeredBy, flow.zone]),
    [
      [17, 5353, '10.0.1.11', 0],
      [17, 5354, '10.0.1.21', 0],
      [6, 40001, '100.64.16.18', 2],
    ],
  );
});

test('a flow is deleted by its first packet, and by its zone where it has one', (t) => {
  const flow = {
    protocol: 17,
    source: '10.0.1.13',
    destination: '10.0.1.200',
    sourcePort: 5353,
    destinationPort: 80,
    answeredBy: '10.0.1.11',
  };
  const message = deleteMessage({ ...flow, zone: 0 });
  t.is(message.readUInt32LE(0), message.length);
  t.is(message.readUInt16LE(4), 0x0102);
  t.true(message.includes(Buffer.from([10, 0, 1, 13])) && message.includes(Buffer.from([10, 0, 1, 200])));
  t.is(deleteMessage({ ...flow, zone: 3 }).length, message.length + 8);
});

test('flows of IPv6 are read and deleted alike', (t) => {
  const text =
    'udp      17 28 src=fd00:90::2 dst=fd00:90::1 sport=5353 dport=80 src=fd00:6::2 dst=fd00:90::2 sport=80 dport=5353 mark=0 use=1';
  const [flow] = parseFlows(text);
  t.is(flow?.answeredBy, 'fd00:6::2');
  if (flow === undefined) return;
  const message = deleteMessage(flow);
  t.is(message.readUInt32LE(0), message.length);
  t.is(message[16], 10);
  for (const end of [1, 2]) {
    const bytes = [0xfd, 0, 0, 0x90, ...new Array<number>(11).fill(0), end];
    t.true(message.includes(Buffer.from([20, 0, end === 2 ? 3 : 4, 0, ...bytes])));
  }
});

test('sockets are read with address, port and state, mapped addresses as what they are', (t) => {
  const text = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
    '   0: 0B00007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1',
    '   1: 0000000000000000FFFF00006400000A:1F90 0000000000000000FFFF00006500000A:C350 01 0:0 00:0 0 0 0 1',
    '   2: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 1',
  ].join('\n');
  t.deepEqual(parseSockets(text), [
    { address: '127.0.0.11', port: 53, state: 0x0a },
    { address: '10.0.0.100', port: 8080, state: 0x01 },
    { address: '0'.repeat(32), port: 80, state: 0x0a },
  ]);
});
