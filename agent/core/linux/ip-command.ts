/**
 * The commands of `ip` by which a container's network is made, as rtnetlink wants to hear them: a program for each
 * container takes longer than all that it does. Who wants more, or IPv6, runs the program.
 */
import { attribute, ipBytes, NLM_F, netlinkMessage, uint32 } from './netlink.ts';

/** What a message says by number and a command by name, in the namespace that it is for. */
export interface IpNumbers {
  /** Of a device. */
  indexOf(device: string): number;
  /** Of an open file that is a network namespace. */
  descriptorOf(netns: string): number;
}

/** Makes the message once it can be sent: commands before it may have made the device that it is about. */
export type IpRequest = (numbers: IpNumbers) => Buffer;

/** Undefined where the command is none of those that we know in full. */
export function ipRequest(command: string): IpRequest | undefined {
  const [object = '', verb = '', ...words] = command.split(' ');
  return REQUESTS[`${object} ${verb}`]?.(new Words(words));
}

const REQUESTS: Readonly<Record<string, (words: Words) => IpRequest | undefined>> = {
  'link add': linkAdd,
  'link set': linkSet,
  'addr replace': addressReplace,
  'route replace': routeReplace,
  'neigh replace': neighbourReplace,
};

const IPV4 = /^(\d{1,3}\.){3}\d{1,3}$/;
const MAC = /^([\da-f]{2}:){5}[\da-f]{2}$/i;
const NAME = /^[^\s/]{1,15}$/;
const NUMBER = /^\d{1,9}$/;
const PATH = /^\/\S+$/;

/** The words of a command, taken one by one. */
class Words {
  readonly #words: string[];
  /** False once one was not what it has to be. */
  understood = true;

  constructor(words: string[]) {
    this.#words = words;
  }

  /** The next one, where it looks so. */
  take(pattern: RegExp): string {
    const word = this.#words.shift() ?? '';
    if (!pattern.test(word)) this.understood = false;
    return word;
  }

  /** Whether this word is next; it is taken then. */
  has(word: string): boolean {
    if (this.#words[0] !== word) return false;
    this.#words.shift();
    return true;
  }

  /** What follows this word, where it is next. */
  after(word: string, pattern: RegExp): string | undefined {
    return this.has(word) ? this.take(pattern) : undefined;
  }

  /** Everything was taken, and nothing was strange. */
  get done(): boolean {
    return this.understood && this.#words.length === 0;
  }
}

const RTM = { NEWLINK: 16, NEWADDR: 20, NEWROUTE: 24, NEWNEIGH: 28 } as const;
const IFLA = { ADDRESS: 1, IFNAME: 3, MTU: 4, MASTER: 10, LINKINFO: 18, GROUP: 27, NET_NS_FD: 28 } as const;
const INFO = { KIND: 1, DATA: 2 } as const;
const VETH_INFO_PEER = 1;
const AF_INET = 2;
const IFF_UP = 1;

function linkAdd(words: Words): IpRequest | undefined {
  const name = words.take(NAME);
  const own = endOfVeth(words, name);
  if (!words.has('type') || !words.has('veth') || !words.has('peer') || !words.has('name')) return undefined;
  const peer = words.take(NAME);
  const netns = words.after('netns', PATH);
  const other = endOfVeth(words, peer);
  if (!words.done) return undefined;
  return ({ descriptorOf }) => {
    const where = netns === undefined ? [] : [attribute(IFLA.NET_NS_FD, uint32(descriptorOf(netns)))];
    const data = attribute(VETH_INFO_PEER, Buffer.concat([linkBody(), ...other, ...where]));
    const info = [attribute(INFO.KIND, Buffer.from('veth')), attribute(INFO.DATA, data)];
    const attributes = [...own, attribute(IFLA.LINKINFO, Buffer.concat(info))];
    return netlinkMessage(RTM.NEWLINK, NLM_F.CREATE | NLM_F.EXCL, linkBody(), attributes);
  };
}

function endOfVeth(words: Words, name: string): Buffer[] {
  const mac = words.after('address', MAC);
  const mtu = words.after('mtu', NUMBER);
  return [
    attribute(IFLA.IFNAME, cString(name)),
    ...(mac === undefined ? [] : [attribute(IFLA.ADDRESS, macBytes(mac))]),
    ...(mtu === undefined ? [] : [attribute(IFLA.MTU, uint32(Number(mtu)))]),
  ];
}

function linkSet(words: Words): IpRequest | undefined {
  if (!words.has('dev')) return undefined;
  const name = words.take(NAME);
  const mtu = words.after('mtu', NUMBER);
  const group = words.after('group', NUMBER);
  const master = words.after('master', NAME);
  const up = words.has('up');
  if (!words.done) return undefined;
  return ({ indexOf }) =>
    netlinkMessage(RTM.NEWLINK, 0, linkBody(indexOf(name), up ? IFF_UP : 0), [
      ...(mtu === undefined ? [] : [attribute(IFLA.MTU, uint32(Number(mtu)))]),
      ...(group === undefined ? [] : [attribute(IFLA.GROUP, uint32(Number(group)))]),
      ...(master === undefined ? [] : [attribute(IFLA.MASTER, uint32(indexOf(master)))]),
    ]);
}

/** `struct ifinfomsg`; `flags` are set. */
function linkBody(index = 0, flags = 0): Buffer {
  const body = Buffer.alloc(16);
  body.writeInt32LE(index, 4);
  body.writeUInt32LE(flags, 8);
  body.writeUInt32LE(flags, 12);
  return body;
}

const IFA = { ADDRESS: 1, LOCAL: 2, FLAGS: 8 } as const;
const IFA_F_NOPREFIXROUTE = 0x200;

function addressReplace(words: Words): IpRequest | undefined {
  const [address = '', prefix = ''] = words.take(/^[\d.]+\/\d+$/).split('/');
  if (!IPV4.test(address) || address.startsWith('127.') || !words.has('dev')) return undefined;
  const device = words.take(NAME);
  const quiet = words.has('noprefixroute');
  if (!words.done) return undefined;
  return ({ indexOf }) => {
    // struct ifaddrmsg: family, prefix, flags, scope, index.
    const body = Buffer.concat([Buffer.from([AF_INET, Number(prefix), 0, 0]), uint32(indexOf(device))]);
    return netlinkMessage(RTM.NEWADDR, NLM_F.CREATE | NLM_F.REPLACE, body, [
      attribute(IFA.LOCAL, ipBytes(address)),
      attribute(IFA.ADDRESS, ipBytes(address)),
      ...(quiet ? [attribute(IFA.FLAGS, uint32(IFA_F_NOPREFIXROUTE))] : []),
    ]);
  };
}

const RTA = { DST: 1, OIF: 4, GATEWAY: 5, PREFSRC: 7, TABLE: 15 } as const;
const TABLES: Readonly<Record<string, number>> = { main: 254, local: 255 };
const SCOPE = { UNIVERSE: 0, LINK: 253, HOST: 254 } as const;
const RTPROT_BOOT = 3;
const RTN = { UNICAST: 1, LOCAL: 2 } as const;
const RTNH_F_ONLINK = 4;

function routeReplace(words: Words): IpRequest | undefined {
  const local = words.has('local');
  const to = words.take(/^(default|[\d.]+(\/\d+)?)$/);
  const via = words.after('via', IPV4);
  const device = words.after('dev', NAME);
  const source = words.after('src', IPV4);
  const onlink = words.has('onlink');
  const table = tableNumber(words.after('table', /^(main|local|\d{1,9})$/) ?? 'main');
  if (!words.done || device === undefined) return undefined;
  const [address, prefix] = to === 'default' ? ['0.0.0.0', 0] : cidrParts(to);
  const scope = local ? SCOPE.HOST : via === undefined ? SCOPE.LINK : SCOPE.UNIVERSE;
  return ({ indexOf }) => {
    // struct rtmsg: family, prefix, source prefix, tos, table, protocol, scope, type, flags.
    const kind = [table < 256 ? table : 0, RTPROT_BOOT, scope, local ? RTN.LOCAL : RTN.UNICAST];
    const body = Buffer.concat([
      Buffer.from([AF_INET, prefix, 0, 0, ...kind]),
      uint32(onlink ? RTNH_F_ONLINK : 0),
    ]);
    return netlinkMessage(RTM.NEWROUTE, NLM_F.CREATE | NLM_F.REPLACE, body, [
      ...(prefix === 0 ? [] : [attribute(RTA.DST, ipBytes(address))]),
      attribute(RTA.OIF, uint32(indexOf(device))),
      ...(via === undefined ? [] : [attribute(RTA.GATEWAY, ipBytes(via))]),
      ...(source === undefined ? [] : [attribute(RTA.PREFSRC, ipBytes(source))]),
      attribute(RTA.TABLE, uint32(table)),
    ]);
  };
}

function tableNumber(word: string): number {
  return TABLES[word] ?? Number(word);
}

function cidrParts(to: string): [string, number] {
  const [address = '', prefix = '32'] = to.split('/');
  return [address, Number(prefix)];
}

const NDA = { DST: 1, LLADDR: 2 } as const;
const NUD_PERMANENT = 0x80;

function neighbourReplace(words: Words): IpRequest | undefined {
  const address = words.take(IPV4);
  const mac = words.after('lladdr', MAC);
  const device = words.after('dev', NAME);
  if (mac === undefined || device === undefined || !words.has('nud') || !words.has('permanent'))
    return undefined;
  if (!words.done) return undefined;
  return ({ indexOf }) => {
    // struct ndmsg: family, two pads, index, state, flags, type.
    const body = Buffer.concat([
      Buffer.from([AF_INET, 0, 0, 0]),
      uint32(indexOf(device)),
      uint32(NUD_PERMANENT),
    ]);
    return netlinkMessage(RTM.NEWNEIGH, NLM_F.CREATE | NLM_F.REPLACE, body, [
      attribute(NDA.DST, ipBytes(address)),
      attribute(NDA.LLADDR, macBytes(mac)),
    ]);
  };
}

function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}

function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}
