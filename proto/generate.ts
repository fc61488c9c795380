/**
 * Writes proto/gen/shoal.ts from the .proto files: a TypeScript interface for each message, a map of them and of the
 * services, and the descriptor that the codec is built from. `--check` only says whether the file is current.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import protobuf from 'protobufjs';

const HERE = import.meta.dirname;
const OUT = join(HERE, 'gen', 'shoal.ts');
const NUMBERS = new Set(['double', 'float', 'int32', 'uint32', 'sint32', 'int64', 'uint64', 'sint64']);

const root = loadProtos();
const text = render(root.lookup('shoal.v1') as protobuf.Namespace);
if (process.argv.includes('--check')) check(text);
else writeFileSync(OUT, text);

function loadProtos(): protobuf.Root {
  const files = readdirSync(HERE).filter((name) => name.endsWith('.proto'));
  const loaded = new protobuf.Root();
  loaded.resolvePath = (_origin, target) => join(HERE, target);
  loaded.loadSync(files.sort()).resolveAll();
  return loaded;
}

function check(wanted: string): void {
  if (readFileSync(OUT, 'utf8') === wanted) return;
  console.error(
    'proto/gen/shoal.ts is not what the .proto files say: run `npm run gen` and commit the result',
  );
  process.exitCode = 1;
}

function render(namespace: protobuf.Namespace): string {
  const types = allTypes(namespace);
  const services = namespace.nestedArray.filter((item) => item instanceof protobuf.Service);
  return [
    '// Generated from proto/*.proto by proto/generate.ts (`npm run gen`). Do not edit.',
    '/** A decoded message: absent messages and optional fields are null or undefined, 64-bit numbers are numbers. */',
    ...types.map(renderType),
    'export interface Messages {',
    ...types.map((type) => `  ${typeName(type)}: ${typeName(type)};`),
    '}',
    'export interface Services {',
    ...services.map(renderService),
    '}',
    `export const descriptor: object = ${JSON.stringify(root.toJSON({ keepComments: false }))};`,
    '',
  ].join('\n');
}

function allTypes(namespace: protobuf.NamespaceBase): protobuf.Type[] {
  return namespace.nestedArray
    .filter((item) => item instanceof protobuf.Type)
    .flatMap((type) => [type, ...allTypes(type)]);
}

/** `Change.CreateTask` is `ChangeCreateTask`. */
function typeName(type: protobuf.ReflectionObject): string {
  const path = type.fullName.replace(/^\.shoal\.v1\./, '');
  return path.replaceAll('.', '');
}

function renderType(type: protobuf.Type): string {
  const fields = type.fieldsArray.map((field) => `  ${field.name}${renderField(field)};`);
  return `export interface ${typeName(type)} {\n${fields.join('\n')}\n}`;
}

function renderField(field: protobuf.Field): string {
  const value = valueType(field);
  if (field instanceof protobuf.MapField) return `: Record<string, ${value}>`;
  if (field.repeated) return `: ${value}[]`;
  const mayBeAbsent = field.resolvedType || field.partOf;
  return mayBeAbsent ? `?: ${value} | null | undefined` : `: ${value}`;
}

function valueType(field: protobuf.Field): string {
  if (field.resolvedType) return typeName(field.resolvedType);
  if (field.type === 'bytes') return 'Uint8Array';
  if (field.type === 'bool') return 'boolean';
  return NUMBERS.has(field.type) ? 'number' : 'string';
}

function renderService(service: protobuf.Service): string {
  const methods = service.methodsArray.map((method) => {
    const request = typeName(method.resolvedRequestType as protobuf.Type);
    const response = typeName(method.resolvedResponseType as protobuf.Type);
    const streams = `requestStream: ${method.requestStream === true}; responseStream: ${method.responseStream === true}`;
    return `    ${method.name}: { request: ${request}; response: ${response}; ${streams} };`;
  });
  return `  ${service.name}: {\n${methods.join('\n')}\n  };`;
}
