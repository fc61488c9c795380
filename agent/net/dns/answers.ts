import packet, {
  type Answer,
  type DecodedPacket,
  type OptAnswer,
  type Packet,
  type Question,
} from 'dns-packet';

/** What a resolver knows of itself; everything else is asked of others. */
export interface Names {
  /** Addresses of a name, none when it has none now; undefined when nobody is called so. */
  addressesOf(name: string): readonly string[] | undefined;
  nameOf(address: string): string | undefined;
}

const NO_ERROR = 0;
export const FORMAT_ERROR = 1;
export const SERVER_FAILURE = 2;
export const NAME_ERROR = 3;
export const REFUSED = 5;

/** Short, because tasks come and go; some clients keep answers as long as they are told. */
const TTL_S = 1;
/** Largest answer by UDP, whatever the client says it takes: it passes every tunnel whole. */
const UDP_BYTES_MAX = 1_232;
const UDP_BYTES_DEFAULT = 512;

/**
 * The answer to a question; undefined when it is to be asked of others. `turn` moves the addresses round, so that
 * clients which take the first spread.
 */
export function answerTo(query: DecodedPacket, names: Names, turn: number): Packet | undefined {
  const question = query.questions?.[0];
  if (question === undefined || query.questions?.length !== 1) return reply(query, FORMAT_ERROR);
  const name = question.name.toLowerCase();
  const addresses = names.addressesOf(name);
  // A known name without this type is no error: some resolvers give up the name if one type is refused.
  if (addresses !== undefined) return reply(query, NO_ERROR, addressAnswers(question, addresses, turn));
  if (question.type === 'PTR') {
    const address = reversed(name);
    const data = address === undefined ? undefined : names.nameOf(address);
    if (data !== undefined)
      return reply(query, NO_ERROR, [{ type: 'PTR', name: question.name, ttl: TTL_S, data }]);
  }
  // Single labels are names of ours or of nobody's: they are not told to the outside.
  if (!name.includes('.') || name.startsWith('tasks.')) return reply(query, NAME_ERROR);
  return undefined;
}

function addressAnswers(question: Question, addresses: readonly string[], turn: number): Answer[] {
  const { type, name } = question;
  if (type !== 'A' && type !== 'AAAA') return [];
  const fitting = addresses.filter((address) => address.includes(':') === (type === 'AAAA'));
  const first = turn % Math.max(1, fitting.length);
  const turned = [...fitting.slice(first), ...fitting.slice(0, first)];
  return turned.map((data) => ({ type, name, ttl: TTL_S, data }));
}

/** 11.1.0.10.in-addr.arpa is 10.0.1.11. */
function reversed(name: string): string | undefined {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\.in-addr\.arpa$/.exec(name);
  return match === null ? undefined : [match[4], match[3], match[2], match[1]].join('.');
}

/** An answer of our own to this query. */
export function reply(query: DecodedPacket, code: number, answers: Answer[] = []): Packet {
  const asked = (query.flags ?? 0) & packet.RECURSION_DESIRED;
  const opt = query.additionals?.find((one) => one.type === 'OPT');
  return {
    type: 'response',
    id: query.id ?? 0,
    flags: packet.RECURSION_AVAILABLE | packet.AUTHORITATIVE_ANSWER | asked | code,
    questions: query.questions ?? [],
    answers,
    ...(opt === undefined ? {} : { additionals: [OPT] }),
  };
}

/** We speak EDNS to those who do. */
const OPT: OptAnswer = {
  type: 'OPT',
  name: '.',
  udpPayloadSize: UDP_BYTES_MAX,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};

/** Bytes of an answer by UDP that this client takes. */
export function udpBytesMax(query: DecodedPacket): number {
  const opt = query.additionals?.find((one) => one.type === 'OPT') as OptAnswer | undefined;
  return Math.min(Math.max(opt?.udpPayloadSize ?? 0, UDP_BYTES_DEFAULT), UDP_BYTES_MAX);
}

/**
 * The message in at most `bytesMax`. What is too long is marked so and keeps as many answers as fit, because not every
 * client asks again by TCP.
 */
export function encodeWithin(answer: Packet, bytesMax: number): Buffer {
  const whole = packet.encode(answer);
  if (whole.length <= bytesMax) return whole;
  const cut = { ...answer, flags: (answer.flags ?? 0) | packet.TRUNCATED_RESPONSE };
  const answers = answer.answers ?? [];
  const empty = packet.encode({ ...cut, answers: [] }).length;
  const each = (whole.length - empty) / Math.max(1, answers.length);
  for (let count = Math.max(0, Math.floor((bytesMax - empty) / each)); ; count--) {
    const shorter = packet.encode({ ...cut, answers: answers.slice(0, count) });
    if (shorter.length <= bytesMax || count <= 0) return shorter;
  }
}

const HEADER_BYTES = 12;

/** The query's header as an answer with nothing but this code; for what can't be read, or nobody can answer. */
export function failureOf(query: Buffer, code: number): Buffer | undefined {
  if (query.length < HEADER_BYTES) return undefined;
  const whole = code === FORMAT_ERROR ? Buffer.from(query.subarray(0, HEADER_BYTES)) : Buffer.from(query);
  if (code === FORMAT_ERROR) whole.fill(0, 4);
  whole[2] = ((whole[2] as number) | 0x80) & ~0x02;
  whole[3] = 0x80 | code;
  return whole;
}

/** The code in the header of an answer. */
export function codeIn(answer: Buffer): number {
  return (answer[3] ?? SERVER_FAILURE) & 0x0f;
}
