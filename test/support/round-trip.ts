import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { Converter } from '#proto/convert/shape.ts';
import type { Messages } from '#proto/gen/shoal.ts';
import { decode, encode, type Input, type MessageName } from '#proto/rpc/codec.ts';

/** A value after a journey over the wire. */
export function roundTrip<Domain, Name extends MessageName>(
  name: Name,
  converter: Converter<Domain, Messages[Name]>,
  value: Domain,
): Domain {
  const bytes = encode(name, converter.toWire(value) as Input<Messages[Name]>);
  return converter.fromWire(decode(name, bytes));
}

/** Throws, with the smallest example, unless every value comes back exactly as it was. */
export function assertRoundTrips<Domain, Name extends MessageName>(
  name: Name,
  converter: Converter<Domain, Messages[Name]>,
  any: fc.Arbitrary<Domain>,
): void {
  fc.assert(
    fc.property(any, (value) => isDeepStrictEqual(roundTrip(name, converter, value), value)),
    { numRuns: 200 },
  );
}
