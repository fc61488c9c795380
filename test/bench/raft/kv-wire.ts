/* The two protobuf fields of etcd's PutRequest that are used (key = 1, value = 2), and the frame of a gRPC message. */

const KEY_TAG = 0x0a;
const VALUE_TAG = 0x12;

/** A gRPC message as it goes over HTTP/2: not compressed, its length, itself. */
export function frameOf(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** The message of a body that holds one. */
export function readGrpcMessage(body: Buffer): Buffer {
  return body.subarray(5, 5 + body.readUInt32BE(1));
}

/** A PutRequest, encoded. */
export function encodePut(key: Buffer, value: Buffer): Buffer {
  return Buffer.concat([field(KEY_TAG, key), field(VALUE_TAG, value)]);
}

function field(tag: number, bytes: Buffer): Buffer {
  const head = [tag];
  let length = bytes.length;
  for (; length > 0x7f; length >>>= 7) head.push((length & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...head, length]), bytes]);
}

/** What a PutRequest asks for; other fields than these two are none of ours. */
export function putRequest(message: Buffer): { key: Buffer; value: Buffer } {
  const found: { key: Buffer; value: Buffer } = { key: Buffer.alloc(0), value: Buffer.alloc(0) };
  for (let at = 0; at < message.length; ) {
    const tag = message[at];
    let length = 0;
    let shift = 0;
    do {
      at += 1;
      length |= ((message[at] as number) & 0x7f) << shift;
      shift += 7;
    } while ((message[at] as number) > 0x7f);
    const bytes = message.subarray(at + 1, at + 1 + length);
    if (tag === KEY_TAG) found.key = bytes;
    else if (tag === VALUE_TAG) found.value = bytes;
    else throw new Error(`PutRequest has a field of tag ${tag}`);
    at += 1 + length;
  }
  return found;
}
