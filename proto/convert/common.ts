import { ShoalError } from '../base/errors.ts';
import type * as wire from '../gen/shoal.ts';
import type { Stored } from '../types/objects.ts';
import type { GenericResource, LabelMap, PortConfig, PortProtocol, PublishMode } from '../types/specs.ts';
import {
  type Converter,
  items,
  list,
  optional,
  shape,
  text,
  textMap,
  uint32,
  uint64,
  word,
} from './shape.ts';

/** What several objects are made of. */

const stored = shape<Stored, wire.Stored>('stored object', {
  version: uint64,
  createdAtMs: uint64,
  updatedAtMs: uint64,
});

type Unstored<Row> = Omit<Row, keyof Stored>;

/**
 * The converter of a stored object from that of what a writer gives: `version` and times travel in `stored`, which is
 * missing where the object is only proposed.
 */
export function storedObject<Row extends Stored, Wire extends { stored?: wire.Stored | null | undefined }>(
  name: string,
  body: Converter<Unstored<Row>, Omit<Wire, 'stored'>>,
): Converter<Row, Wire> {
  return {
    toWire: (row) => ({ stored: stored.toWire(row), ...body.toWire(row) }) as Wire,
    fromWire(message) {
      if (!message.stored) throw new ShoalError('INVALID_ARGUMENT', `${name}: its version is missing`);
      return Object.freeze({ ...body.fromWire(message), ...stored.fromWire(message.stored) }) as Row;
    },
  };
}

export interface Driver {
  readonly name: string;
  readonly options?: LabelMap;
}

export const driver = shape<Driver, wire.Driver>('driver', { name: text, options: optional(textMap) });

export const port = shape<PortConfig, wire.PortConfig>('port', {
  name: optional(text),
  protocol: word<PortProtocol>('port protocol', { tcp: true, udp: true, sctp: true }),
  targetPort: uint32,
  publishedPort: optional(uint32),
  publishMode: word<PublishMode>('publish mode', { ingress: true, host: true }),
});
export const ports = list(port);
export const portItems: Converter<readonly PortConfig[], wire.PortConfigList> = items(port);

const genericResource: Converter<GenericResource, wire.GenericResource> = {
  toWire: (resource) =>
    'named' in resource ? resource : { kind: resource.kind, count: uint64.toWire(resource.count) },
  fromWire(message) {
    const { kind, named, count } = message;
    // A decoded message has a default for the member that is not set; only the one that is set is its own.
    if (typeof named === 'string' && Object.hasOwn(message, 'named')) return Object.freeze({ kind, named });
    if (typeof count === 'number' && Object.hasOwn(message, 'count'))
      return Object.freeze({ kind, count: uint64.fromWire(count) });
    throw new ShoalError('INVALID_ARGUMENT', `generic resource ${kind}: it has neither a name nor a count`);
  },
};
export const genericResources: Converter<readonly GenericResource[], wire.GenericResourceList> =
  items(genericResource);
