import { ShoalError } from '../base/errors.ts';
import type { StringList, StringMap } from '../gen/shoal.ts';
import type { LabelMap } from '../types/specs.ts';

/*
 * Small parts that converters between domain values and wire messages are put together from. One definition gives both
 * ways, so they can't drift apart, and the compiler asks for every field of either side.
 *
 * Both ways check what the types of the wire can't say (known words, whole numbers, messages that must be there), so
 * that what was encoded can always be decoded. What is decoded is frozen, through and through.
 */

/** One value, both ways. Throws ShoalError INVALID_ARGUMENT for values the other side can't hold. */
export interface Converter<Domain, Wire> {
  toWire(value: Domain): Wire;
  fromWire(wire: Wire): Domain;
}

/** A field that may be absent: on the wire it is null or missing, in the domain its key is not there. */
export interface OptionalField<Domain, Wire> extends Converter<Domain, Wire> {
  readonly optional: true;
}

export type DomainOf<C> = C extends Converter<infer Domain, infer _Wire> ? Domain : never;

type Present<T> = Exclude<T, null | undefined>;
type IsOptional<T, Key extends keyof T> = Record<never, never> extends Pick<T, Key> ? true : false;

/** A converter for each field that the domain type or the message has. */
type Fields<Domain, Wire> = {
  readonly [Key in keyof Domain | keyof Wire]-?: Key extends keyof Domain & keyof Wire
    ? IsOptional<Domain, Key> extends true
      ? OptionalField<Present<Domain[Key]>, Present<Wire[Key]>>
      : Converter<Domain[Key], Present<Wire[Key]>>
    : never;
};

type Bag = Record<string, unknown>;

/** A message whose fields are named as the domain type's. `name` says in errors what could not be read. */
export function shape<Domain extends object, Wire extends object>(
  name: string,
  fields: Fields<Domain, Wire>,
): Converter<Domain, Wire> {
  const list = Object.entries(fields) as [string, Converter<unknown, unknown> & { optional?: true }][];
  return {
    toWire(value) {
      const wire: Bag = {};
      for (const [key, field] of list) {
        const found = (value as Bag)[key];
        if (found !== undefined) wire[key] = field.toWire(found);
        else if (!field.optional) throw missing(name, key);
      }
      return wire as Wire;
    },
    fromWire(wire) {
      const value: Bag = {};
      for (const [key, field] of list) {
        const found = (wire as Bag)[key];
        if (found !== undefined && found !== null) value[key] = field.fromWire(found);
        else if (!field.optional) throw missing(name, key);
      }
      return Object.freeze(value) as Domain;
    },
  };
}

function missing(name: string, key: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', `${name}: ${key} is missing`);
}

export function optional<Domain, Wire>(field: Converter<Domain, Wire>): OptionalField<Domain, Wire> {
  return { toWire: field.toWire, fromWire: field.fromWire, optional: true };
}

function same<T>(): Converter<T, T> {
  return { toWire: (value) => value, fromWire: (wire) => wire };
}

export const text: Converter<string, string> = same();
export const flag: Converter<boolean, boolean> = same();
export const fraction: Converter<number, number> = same();

/** An id of a kind; the wire does not know kinds. */
export function id<Id extends string>(): Converter<Id, string> {
  return { toWire: (value) => value, fromWire: (wire) => wire as Id };
}

function integer(name: string, min: number, max: number): Converter<number, number> {
  const check = (value: number): number => {
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new ShoalError('INVALID_ARGUMENT', `${value} is no ${name}: expected ${min} to ${max}`);
  };
  return { toWire: check, fromWire: check };
}

export const uint32 = integer('32-bit count', 0, 2 ** 32 - 1);
export const int32 = integer('32-bit number', -(2 ** 31), 2 ** 31 - 1);
/** 64 bits on the wire, of which a number holds 53 exactly. */
export const uint64 = integer('count', 0, Number.MAX_SAFE_INTEGER);
export const int64 = integer('whole number', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);

/** One of a closed set of words, given as keys, so that the compiler asks for all of them. */
export function word<Word extends string>(
  name: string,
  words: Readonly<Record<Word, true>>,
): Converter<Word, string> {
  const known = new Map(Object.keys(words).map((each) => [each, each as Word]));
  const check = (value: string): Word => {
    const found = known.get(value);
    if (found !== undefined) return found;
    throw new ShoalError(
      'INVALID_ARGUMENT',
      `unknown ${name} ${JSON.stringify(value)}: expected ${[...known.keys()].join(', ')}`,
    );
  };
  return { toWire: check, fromWire: check };
}

/** One of a closed set of numbers. */
export function code<Code extends number>(name: string, codes: readonly Code[]): Converter<Code, number> {
  const known = new Map<number, Code>(codes.map((each) => [each, each]));
  const check = (value: number): Code => {
    const found = known.get(value);
    if (found !== undefined) return found;
    throw new ShoalError('INVALID_ARGUMENT', `unknown ${name} ${value}: expected ${codes.join(', ')}`);
  };
  return { toWire: check, fromWire: check };
}

/** A list that is always there; none and empty are one. */
export function list<Domain, Wire>(each: Converter<Domain, Wire>): Converter<readonly Domain[], Wire[]> {
  return {
    toWire: (values) => values.map(each.toWire),
    fromWire: (wires) => Object.freeze(wires.map(each.fromWire)),
  };
}

/** A list in a message of its own, so that an absent one and an empty one stay apart. */
export function items<Domain, Wire>(
  each: Converter<Domain, Wire>,
): Converter<readonly Domain[], { items: Wire[] }> {
  const plain = list(each);
  return {
    toWire: (values) => ({ items: plain.toWire(values) }),
    fromWire: (wire) => plain.fromWire(wire.items),
  };
}

export const texts: Converter<readonly string[], StringList> = items(text);

/** A map in a message of its own. The order of its keys is kept, as far as objects keep it. */
export const textMap: Converter<LabelMap, StringMap> = {
  toWire: (map) => ({ entries: map }),
  fromWire: (wire) => Object.freeze(wire.entries),
};
