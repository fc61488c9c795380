import { ShoalError } from '#proto/base/errors.ts';
import type { Node } from '#proto/types/objects.ts';
import type { Platform } from '#proto/types/specs.ts';
import { inSubnet, isSubnet, sameAddress } from './addresses.ts';

/** One placement constraint: `node.labels.zone != east`. All constraints of a service must hold. */
export interface Constraint {
  /** As written; built-in keys compare without case, label names with it. */
  readonly key: string;
  readonly operator: Operator;
  readonly value: string;
}

const OPERATORS = ['==', '!='] as const;
type Operator = (typeof OPERATORS)[number];

const KEY = /^[a-z_][a-z0-9\-_.]+$/i;
const VALUE = /^[a-z0-9:\-_\s.*()?+[\]\\^$|/]+$/i;

/**
 * Placement constraints as written in a service spec.
 * ShoalError INVALID_ARGUMENT, in Swarm's words, for one that cannot be read.
 */
export function parseConstraints(expressions: readonly string[]): Constraint[] {
  return expressions.map(parseConstraint);
}

function parseConstraint(expression: string): Constraint {
  const operator = OPERATORS.find((candidate) => expression.includes(candidate));
  if (operator === undefined) {
    throw invalid(`constraint expected one operator from ${OPERATORS.join(', ')}`);
  }
  const at = expression.indexOf(operator);
  const key = expression.slice(0, at).trim();
  const value = expression.slice(at + operator.length).trim();
  if (!KEY.test(key)) throw invalid(`key '${key}' is invalid`);
  if (!VALUE.test(value)) throw invalid(`value '${value}' is invalid`);
  return { key, operator, value };
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', message);
}

/** Whether a node meets every constraint. A label it does not have is an empty value. */
export function meetsConstraints(node: Node, constraints: readonly Constraint[]): boolean {
  return constraints.every((constraint) => meets(node, constraint));
}

function meets(node: Node, constraint: Constraint): boolean {
  if (constraint.key.toLowerCase() === 'node.ip') return meetsAddress(node, constraint);
  const actual = actualValue(node, constraint.key);
  if (actual === undefined) return false;
  const expected = constraint.key.toLowerCase() === ARCH_KEY ? archName(constraint.value) : constraint.value;
  return (actual.toLowerCase() === expected.toLowerCase()) === (constraint.operator === '==');
}

const ARCH_KEY = 'node.platform.arch';
const NODE_LABELS = 'node.labels.';
const ENGINE_LABELS = 'engine.labels.';

/** What a node has for a key: '' when it has nothing, undefined when there is no such key. */
function actualValue(node: Node, key: string): string | undefined {
  switch (key.toLowerCase()) {
    case 'node.id':
      return node.id;
    case 'node.hostname':
      return node.description?.hostname ?? '';
    case 'node.role':
      return node.role;
    case 'node.platform.os':
      return node.description?.platform.os ?? '';
    case ARCH_KEY:
      return archName(node.description?.platform.architecture ?? '');
    default:
      return labelOf(node, key);
  }
}

/** The label that a key such as `node.labels.zone` names: '' when the node lacks it; undefined for other keys. */
export function labelOf(node: Node, key: string): string | undefined {
  if (startsWith(key, NODE_LABELS)) return node.spec.labels?.[key.slice(NODE_LABELS.length)] ?? '';
  if (startsWith(key, ENGINE_LABELS)) {
    return node.description?.engine.labels?.[key.slice(ENGINE_LABELS.length)] ?? '';
  }
  return undefined;
}

function startsWith(key: string, prefix: string): boolean {
  return key.slice(0, prefix.length).toLowerCase() === prefix;
}

function meetsAddress(node: Node, { operator, value }: Constraint): boolean {
  const actual = node.status.addr ?? '';
  const matches = isSubnet(value) ? inSubnet(actual, value) : sameAddress(actual, value);
  return matches !== undefined && matches === (operator === '==');
}

/** Whether a node is of one of the platforms; none named = any. An empty part of a platform matches all. */
export function meetsPlatforms(node: Node, platforms: readonly Platform[]): boolean {
  if (platforms.length === 0) return true;
  const actual = node.description?.platform;
  if (actual === undefined) return false;
  return platforms.some(
    ({ os, architecture }) =>
      (!os || os.toLowerCase() === actual.os.toLowerCase()) &&
      (!architecture || archName(architecture) === archName(actual.architecture)),
  );
}

/** One name for what kernels and images call differently. */
function archName(architecture: string): string {
  const name = architecture.toLowerCase();
  if (name === 'x86_64') return 'amd64';
  if (name === 'aarch64') return 'arm64';
  return name;
}
