import protobuf from 'protobufjs/light.js';
import { descriptor, type Messages } from '../gen/shoal.ts';

/** What may be given to encode: every field may be left out. */
export type Input<T> = T extends Uint8Array
  ? T
  : T extends readonly (infer Item)[]
    ? readonly Input<Item>[]
    : T extends object
      ? { readonly [K in keyof T]?: Input<T[K]> | null | undefined }
      : T;

export type MessageName = keyof Messages;

// Every 64-bit field of ours stays below 2^53, so plain numbers hold them; a bigint would be encoded as 0 in silence.
(protobuf.util as { Long: unknown }).Long = undefined;
protobuf.configure();

const root = protobuf.Root.fromJSON(descriptor as protobuf.INamespace).resolveAll();
const types = new Map<string, protobuf.Type>();
collect(root.lookup('shoal.v1') as protobuf.Namespace);

function collect(namespace: protobuf.NamespaceBase): void {
  for (const item of namespace.nestedArray) {
    if (!(item instanceof protobuf.Type)) continue;
    types.set(item.fullName.replace(/^\.shoal\.v1\./, '').replaceAll('.', ''), item);
    collect(item);
  }
}

/** The wire form of a message. Unknown properties are left out; wrong types throw. */
export function encode<Name extends MessageName>(name: Name, value: Input<Messages[Name]>): Uint8Array {
  return typeOf(name).encode(value).finish();
}

/**
 * A message from its wire form; throws on bytes that are no such message.
 * Byte fields are views of `bytes`: copy what must outlive it.
 */
export function decode<Name extends MessageName>(name: Name, bytes: Uint8Array): Messages[Name] {
  return typeOf(name).decode(bytes) as unknown as Messages[Name];
}

/** The service as the .proto files describe it. */
export function serviceOf(name: string): protobuf.Service {
  return root.lookupService(`shoal.v1.${name}`);
}

function typeOf(name: string): protobuf.Type {
  const type = types.get(name);
  if (type === undefined) throw new TypeError(`no message ${name} in the .proto files`);
  return type;
}
