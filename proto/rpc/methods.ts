import { descriptor } from '../gen/shoal.ts';
import { decode, encode, type Input, type MessageName, serviceOf } from './codec.ts';
import type { ServiceName } from './types.ts';

/** One method as both ends need it: its path on the wire, its shape, and its two codecs. */
export interface Method {
  /** As implementations and clients spell it: `getRootCa`. */
  readonly name: string;
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly request: Codec;
  readonly response: Codec;
}

export interface Codec {
  encode(value: unknown): Buffer;
  decode(bytes: Buffer): unknown;
}

/** Every service of the .proto files. */
export const SERVICE_NAMES = namesOf(descriptor);

const known = new Map<ServiceName, readonly Method[]>();

/** The methods of a service, in the order of its .proto file. */
export function methodsOf(service: ServiceName): readonly Method[] {
  const methods = known.get(service) ?? readMethods(service);
  known.set(service, methods);
  return methods;
}

function readMethods(service: ServiceName): Method[] {
  return serviceOf(service).methodsArray.map((method) => ({
    name: method.name.charAt(0).toLowerCase() + method.name.slice(1),
    path: `/shoal.v1.${service}/${method.name}`,
    requestStream: method.requestStream === true,
    responseStream: method.responseStream === true,
    request: codecOf(method.requestType as MessageName),
    response: codecOf(method.responseType as MessageName),
  }));
}

function codecOf(name: MessageName): Codec {
  return {
    encode: (value) => asBuffer(encode(name, value as Input<object>)),
    decode: (bytes) => decode(name, bytes),
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function namesOf(tree: object): readonly ServiceName[] {
  const { nested } = (tree as { nested: { shoal: { nested: { v1: { nested: object } } } } }).nested.shoal
    .nested.v1;
  return Object.entries(nested)
    .filter(([, item]) => 'methods' in item)
    .map(([name]) => name as ServiceName);
}
