import type { Answered, Call, Model } from '../operation.js'

/** All numbers are decimals; an increment that would leave `min` to `max` is refused. */
export type CounterInput =
  | { readonly op: 'get' }
  | { readonly op: 'increment'; readonly delta: string; readonly min?: string; readonly max?: string }

export interface CounterOutput {
  /** After the increment; `null` when it was refused. */
  readonly value: string | null
}

function incremented(state: bigint, input: CounterInput & { readonly op: 'increment' }): bigint | undefined {
  const sum = state + BigInt(input.delta)
  if (input.min !== undefined && sum < BigInt(input.min)) return undefined
  if (input.max !== undefined && sum > BigInt(input.max)) return undefined
  return sum
}

/** A whole number that begins at 0. */
export const counter: Model<CounterInput, CounterOutput, bigint> = {
  initial: 0n,

  step(state, { input, output: { value } }: Answered<CounterInput, CounterOutput>) {
    const after = input.op === 'get' ? state : incremented(state, input)
    if (value === null) return after === undefined ? state : undefined
    return after === BigInt(value) ? after : undefined
  },

  guess(state, { input }: Call<CounterInput>) {
    return input.op === 'get' ? undefined : incremented(state, input)
  },

  fingerprint: String,
}
