import { IMPOSSIBLE, type Model } from './linearizability.ts';

/** One value that is read, written, and exchanged for another if it is the expected one. */
export type RegisterInput<Value> =
  | { readonly kind: 'read' }
  | { readonly kind: 'write'; readonly value: Value }
  | { readonly kind: 'cas'; readonly from: Value; readonly to: Value };

/** What a read saw (null: nothing was ever written), whether an exchange was made; of a write nothing is told. */
export type RegisterOutput<Value> = { readonly value?: Value | null; readonly made?: boolean };

export function registerModel<Value extends string | number>(): Model<
  RegisterInput<Value>,
  RegisterOutput<Value>,
  Value | null
> {
  return {
    initial: null,
    step(state, input, output) {
      switch (input.kind) {
        case 'read':
          return output === undefined || output.value === state ? state : IMPOSSIBLE;
        case 'write':
          return input.value;
        case 'cas': {
          const makes = state === input.from;
          if (output !== undefined && output.made !== makes) return IMPOSSIBLE;
          return makes ? input.to : state;
        }
      }
    },
    onlyLooks: ({ kind }, output) => kind === 'read' || (kind === 'cas' && output?.made === false),
    leftTrace(input, history) {
      if (input.kind === 'read') return false;
      const left = input.kind === 'write' ? input.value : input.to;
      // An exchange that was not made tells of any value but one.
      return history.some(
        ({ input: other, output }) =>
          output?.value === left || (other.kind === 'cas' && (other.from === left || output?.made === false)),
      );
    },
  };
}

/** One key of a store of strings; a key that was never put holds the empty string. */
export type KeyInput =
  | { readonly kind: 'get' }
  | { readonly kind: 'put'; readonly value: string }
  | { readonly kind: 'append'; readonly value: string };

/** What a get saw. */
export type KeyOutput = { readonly value?: string };

export const keyModel: Model<KeyInput, KeyOutput, string> = {
  initial: '',
  step(state, input, output) {
    switch (input.kind) {
      case 'get':
        return output === undefined || output.value === state ? state : IMPOSSIBLE;
      case 'put':
        return input.value;
      case 'append':
        return state + input.value;
    }
  },
  onlyLooks: ({ kind }) => kind === 'get',
  leftTrace: (input, history) =>
    input.kind !== 'get' && history.some(({ output }) => output?.value?.includes(input.value)),
};

/** A bag of numbers: what was put in is in it, as often as it was put in. */
export type BagInput = { readonly kind: 'put'; readonly value: number } | { readonly kind: 'look' };

/** What a look saw, ascending, joined by commas. */
export type BagOutput = { readonly seen?: string };

export const bagModel: Model<BagInput, BagOutput, string> = {
  initial: '',
  step(state, input, output) {
    if (input.kind === 'look') return output === undefined || output.seen === state ? state : IMPOSSIBLE;
    return bagOf([...state.split(',').filter((text) => text !== ''), String(input.value)]);
  },
  onlyLooks: ({ kind }) => kind === 'look',
  leftTrace: (input, history) =>
    input.kind !== 'look' &&
    history.some(({ output }) => output?.seen?.split(',').includes(String(input.value))),
};

/** How a bag is written down. */
export function bagOf(values: readonly (string | number)[]): string {
  return values
    .map(Number)
    .sort((a, b) => a - b)
    .join();
}
