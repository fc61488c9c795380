import { closeSync, openSync } from 'node:fs';
import type { IpNumbers, IpRequest } from './ip-command.ts';
import { AF_NETLINK, errnoIn, SOCK_RAW_CLOEXEC } from './netlink.ts';
import { inNetworkNamespace, ioctl, rawSocket } from './sys.ts';

const NETLINK_ROUTE = 0;
const SIOCGIFINDEX = 0x8933;
/** `struct ifreq`: a name of 16 bytes, then what is asked about it. */
const IFREQ_BYTES = 40;
const NAME_BYTES = 16;
/** The answers to so many fit the socket's buffer by far. */
const REQUESTS_AT_ONCE = 64;

/** Makes these changes in a namespace, in their order, whatever fails; says of each whether it did. */
export async function changeNetwork(
  netns: string | undefined,
  requests: readonly IpRequest[],
): Promise<boolean[]> {
  using talk = new Talk(netns);
  const failed: boolean[] = [];
  for (const request of requests) failed.push(...(await talk.say(request)));
  return [...failed, ...(await talk.end())];
}

/** One conversation with rtnetlink. What is asked is kept until there is much of it, or a device must be there. */
class Talk implements Disposable {
  readonly #socket: number;
  readonly #indexes = new Map<string, number>();
  readonly #descriptors = new Map<string, number>();
  readonly #answer = Buffer.alloc(4_096);
  #waiting: Buffer[] = [];

  constructor(netns: string | undefined) {
    const open = (): number => rawSocket.open(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_ROUTE);
    this.#socket = netns === undefined ? open() : inNetworkNamespace(netns, open);
  }

  /** Of the requests that were sent by this, in the order in which they were asked, which failed. */
  async say(request: IpRequest): Promise<boolean[]> {
    const message = this.#message(request);
    if (message !== undefined) {
      this.#waiting.push(message);
      return this.#waiting.length < REQUESTS_AT_ONCE ? [] : await this.end();
    }
    // The device may be one that is to be made by what waits.
    const before = await this.end();
    const late = this.#message(request);
    if (late === undefined) return [...before, true];
    this.#waiting.push(late);
    return before;
  }

  /** Sends what waits. */
  async end(): Promise<boolean[]> {
    const messages = this.#waiting;
    this.#waiting = [];
    if (messages.length === 0) return [];
    // The kernel does the work in the call, and waits there for others who change a network.
    await rawSocket.sendAside(this.#socket, Buffer.concat(messages));
    return messages.map(() => {
      const length = rawSocket.receive(this.#socket, this.#answer);
      return length === undefined || errnoIn(this.#answer) !== 0;
    });
  }

  #message(request: IpRequest): Buffer | undefined {
    const numbers: IpNumbers = {
      indexOf: (device) => known(this.#indexes, device, () => this.#indexOf(device)),
      descriptorOf: (netns) => known(this.#descriptors, netns, () => openSync(netns, 'r')),
    };
    try {
      return request(numbers);
    } catch {
      return undefined;
    }
  }

  #indexOf(device: string): number {
    const request = Buffer.alloc(IFREQ_BYTES);
    request.write(device, 'latin1');
    ioctl(this.#socket, SIOCGIFINDEX, request);
    return request.readInt32LE(NAME_BYTES);
  }

  [Symbol.dispose](): void {
    closeSync(this.#socket);
    for (const descriptor of this.#descriptors.values()) closeSync(descriptor);
  }
}

function known(numbers: Map<string, number>, name: string, find: () => number): number {
  const number = numbers.get(name) ?? find();
  numbers.set(name, number);
  return number;
}
