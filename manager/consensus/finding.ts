import { messageOf } from '#proto/base/errors.ts';

/** What is found of one file of a state directory. */
export interface Finding {
  readonly path: string;
  /**
   * whole: nothing is wrong. torn: a last write was cut short, which a restart repairs. damaged: bytes that were
   * written are lost or changed. leftover: no part of the state; a restart puts it away.
   */
  readonly state: 'whole' | 'torn' | 'damaged' | 'leftover';
  readonly detail: string;
}

/** What a failure says, without the advice that is given to a manager that starts. */
export function reasonOf(error: unknown): string {
  return messageOf(error).split('. Nothing was changed.')[0] as string;
}
