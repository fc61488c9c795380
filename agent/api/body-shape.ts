import { ShoalError } from '#proto/base/errors.ts';

/*
 * What is kept of a request must be of the type that it is taken for: it is read again by every daemon to come. Null stands for
 * nothing, and fields that nobody knows are no matter, as with Docker.
 */

/** `words`: a list of strings, or one string that stands for a list of it. */
export type Kind =
  | 'string'
  | 'boolean'
  | 'number'
  | 'strings'
  | 'words'
  | 'map'
  | 'object'
  | 'objects'
  | Shape;
export interface Shape {
  readonly [field: string]: Kind;
}

/** Names of the types as clients know them from Docker's answers. */
const GO_TYPES: Readonly<Record<Exclude<Kind, Shape>, string>> = {
  string: 'string',
  boolean: 'bool',
  number: 'int64',
  strings: '[]string',
  words: '[]string',
  map: 'map[string]string',
  object: 'struct',
  objects: '[]struct',
};

const isString = (value: unknown): boolean => typeof value === 'string';
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isListOf = (value: unknown, is: (item: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every(is);

const FITS: Readonly<Record<Exclude<Kind, Shape>, (value: unknown) => boolean>> = {
  string: isString,
  boolean: (value) => typeof value === 'boolean',
  number: Number.isInteger,
  strings: (value) => isListOf(value, isString),
  words: (value) => isString(value) || isListOf(value, isString),
  map: (value) => isObject(value) && Object.values(value).every(isString),
  object: isObject,
  objects: (value) => isListOf(value, isObject),
};

/** The same value, with lists for words that stand for one. INVALID_ARGUMENT where a field is of another type. */
export function shaped<T>(value: T, shape: Shape, at = 'body'): T {
  if (!isObject(value)) throw mismatch(value, at, 'struct');
  const changed: Record<string, unknown> = {};
  for (const [field, kind] of Object.entries(shape)) {
    const found = value[field];
    if (found === undefined || found === null) continue;
    const name = `${at}.${field}`;
    if (typeof kind !== 'string') changed[field] = shaped(found, kind, name);
    else if (!FITS[kind](found)) throw mismatch(found, name, GO_TYPES[kind]);
    else if (kind === 'words' && isString(found)) changed[field] = [found];
  }
  return { ...value, ...changed };
}

function mismatch(value: unknown, at: string, type: string): ShoalError {
  const found = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
  return new ShoalError(
    'INVALID_ARGUMENT',
    `json: cannot unmarshal ${value === null ? 'null' : found} into Go struct field ${at} of type ${type}`,
  );
}
