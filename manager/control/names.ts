import { ShoalError } from '#proto/base/errors.ts';

const NAME = /^[a-zA-Z0-9](?:[-_]*[a-zA-Z0-9])*$/;
const NAME_CHARS_MAX = 63;

/** Refuses a name that can't be one of the DNS, in Swarm's words. */
export function checkName(name: string): void {
  if (name === '') throw new ShoalError('INVALID_ARGUMENT', 'meta: name must be provided');
  if (!NAME.test(name))
    throw new ShoalError('INVALID_ARGUMENT', 'name must be valid as a DNS name component');
  if (name.length > NAME_CHARS_MAX)
    throw new ShoalError('INVALID_ARGUMENT', `name must be ${NAME_CHARS_MAX} characters or fewer`);
}
