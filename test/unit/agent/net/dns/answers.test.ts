import test from 'ava';
import packet, { type DecodedPacket, type Packet, type RecordType } from 'dns-packet';
import {
  answerTo,
  encodeWithin,
  failureOf,
  type Names,
  REFUSED,
  udpBytesMax,
} from '#agent/net/dns/answers.ts';

const NAMES: Names = {
  addressesOf: (name) =>
    new Map([
      ['web', ['10.0.1.1', '10.0.1.2', '10.0.1.3']],
      ['asleep', []],
      ['both', ['10.0.1.9', 'fd00::9']],
      ['tasks.web', ['10.0.1.1']],
    ]).get(name),
  nameOf: (address) => (address === '10.0.1.2' ? 'web.2.backend' : undefined),
};

function query(name: string, type: RecordType = 'A', more: Partial<Packet> = {}): DecodedPacket {
  const questions = [{ name, type }];
  return packet.decode(
    packet.encode({ type: 'query', id: 9, flags: packet.RECURSION_DESIRED, questions, ...more }),
  );
}

function answers(name: string, type: RecordType = 'A', turn = 0): string | undefined {
  const answer = answerTo(query(name, type), NAMES, turn);
  if (answer === undefined) return undefined;
  const { rcode, answers: found } = packet.decode(packet.encode(answer)) as DecodedPacket & { rcode: string };
  return [rcode, ...(found ?? []).map((one) => ('data' in one ? String(one.data) : ''))].join(' ');
}

test('addresses turn round from one answer to the next', (t) => {
  t.is(answers('web'), 'NOERROR 10.0.1.1 10.0.1.2 10.0.1.3');
  t.is(answers('web', 'A', 4), 'NOERROR 10.0.1.2 10.0.1.3 10.0.1.1');
});

test('names are compared without case, and given back as they were asked', (t) => {
  const answer = answerTo(query('WeB'), NAMES, 0);
  t.is(answer?.answers?.[0]?.name, 'WeB');
  t.is(answer?.questions?.[0]?.name, 'WeB');
});

test('a known name without that type, or without an address now, is no error', (t) => {
  t.is(answers('web', 'AAAA'), 'NOERROR');
  t.is(answers('web', 'MX'), 'NOERROR');
  t.is(answers('asleep'), 'NOERROR');
});

test('each family has its own answers', (t) => {
  t.is(answers('both'), 'NOERROR 10.0.1.9');
  t.is(answers('both', 'AAAA', 3), 'NOERROR fd00::9');
});

test('single labels and tasks.* that nobody has are not told to the outside', (t) => {
  t.is(answers('nobody'), 'NXDOMAIN');
  t.is(answers('tasks.nobody'), 'NXDOMAIN');
  t.is(answers('example.com'), undefined);
});

test('addresses of ours have names, others are asked for outside', (t) => {
  t.is(answers('2.1.0.10.in-addr.arpa', 'PTR'), 'NOERROR web.2.backend');
  t.is(answers('8.8.8.8.in-addr.arpa', 'PTR'), undefined);
});

test('what is too long keeps as many answers as fit, and says so', (t) => {
  const many = Array.from({ length: 60 }, (_, i) => `10.0.3.${i}`);
  const answer = answerTo(query('many'), { ...NAMES, addressesOf: () => many }, 0) as Packet;
  const short = packet.decode(encodeWithin(answer, 512));
  t.true(short.flag_tc);
  t.true((short.answers?.length ?? 0) >= 20);
  t.true(encodeWithin(answer, 512).length <= 512);
  const whole = packet.decode(encodeWithin(answer, 65_535));
  t.false(whole.flag_tc);
  t.is(whole.answers?.length, 60);
});

test('a client says how much it takes, between 512 and 1232 bytes', (t) => {
  const offering = (udpPayloadSize: number): DecodedPacket =>
    query('web', 'A', {
      additionals: [
        {
          type: 'OPT',
          name: '.',
          udpPayloadSize,
          extendedRcode: 0,
          ednsVersion: 0,
          flags: 0,
          flag_do: false,
          options: [],
        },
      ],
    });
  t.is(udpBytesMax(query('web')), 512);
  t.is(udpBytesMax(offering(100)), 512);
  t.is(udpBytesMax(offering(1000)), 1000);
  t.is(udpBytesMax(offering(4096)), 1232);
  t.is(answerTo(offering(4096), NAMES, 0)?.additionals?.[0]?.type, 'OPT');
});

test('a failure has the question’s id and its own code; half a header is not answered', (t) => {
  const asked = packet.encode({ type: 'query', id: 77, questions: [{ name: 'a.b', type: 'A' }] });
  const failure = packet.decode(failureOf(asked, REFUSED) as Buffer) as DecodedPacket & { rcode: string };
  t.is(failure.id, 77);
  t.is(failure.type, 'response');
  t.is(failure.rcode, 'REFUSED');
  t.is(failureOf(asked.subarray(0, 5), REFUSED), undefined);
});
