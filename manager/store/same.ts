/** Whether two plain values are alike all through. The order of an object's keys does not count; a list's does. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  let left = 0;
  for (const key in a) {
    if (!Object.hasOwn(b, key) || !sameValue(a[key as never], b[key as never])) return false;
    left += 1;
  }
  for (const _ in b) left -= 1;
  return left === 0;
}
