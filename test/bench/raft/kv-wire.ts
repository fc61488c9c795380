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

/** The key of a PutRequest that encodePut made; keys are shorter than 128 bytes. */
export function keyOf(request: Buffer): string {
  return request.toString('latin1', 2, 2 + (request[1] as number));
}
