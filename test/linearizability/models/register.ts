import type { Answered, Call, Model } from '../operation.js'

/** Versions are decimals; `expected` 0 stands for an entry that is absent. */
export type RegisterInput =
  | { readonly op: 'get' }
  | { readonly op: 'set' | 'create'; readonly value: unknown }
  | { readonly op: 'cas'; readonly expected: string; readonly value: unknown }
  | { readonly op: 'delete'; readonly expected?: string }

export interface RegisterEntry {
  readonly value: unknown
  readonly version: string
}

export interface RegisterOutput {
  /** Of `set`, and of `create` and `cas` that wrote. */
  readonly version?: string
  /** Of `get`, and of `create` and `cas` that were refused; `null` when absent. */
  readonly entry?: RegisterEntry | null
  /** Of `delete`. */
  readonly deleted?: boolean
}

export interface RegisterState {
  /** As JSON; `undefined` when absent. */
  readonly value: string | undefined
  /** `undefined` when absent, or written by an operation whose answer nobody knows: then at least `newest`. */
  readonly version: bigint | undefined
  /** No version that was ever given out for this key is known to be higher; the next one is. */
  readonly newest: bigint
}

/** The state when the entry has this version. */
function having(state: RegisterState, expected: bigint): RegisterState | undefined {
  if (expected === 0n) return state.value === undefined ? state : undefined
  if (state.value === undefined) return undefined
  if (state.version === undefined) {
    return expected < state.newest ? undefined : { ...state, version: expected, newest: expected }
  }
  return state.version === expected ? state : undefined
}

/** The state when somebody sees this entry. */
function seeing(state: RegisterState, entry: RegisterEntry | null): RegisterState | undefined {
  if (entry === null) return having(state, 0n)
  return JSON.stringify(entry.value) === state.value ? having(state, BigInt(entry.version)) : undefined
}

function written(state: RegisterState, value: unknown, version: string | undefined): RegisterState | undefined {
  const text = JSON.stringify(value)
  if (version === undefined) return { value: text, version: undefined, newest: state.newest + 1n }
  const given = BigInt(version)
  return given > state.newest ? { value: text, version: given, newest: given } : undefined
}

function expectedBy(input: RegisterInput): bigint | undefined {
  if (input.op === 'create') return 0n
  return 'expected' in input ? BigInt(input.expected) : undefined
}

/** The state when the condition of a write, if it has one, holds. */
function admitting(state: RegisterState, input: RegisterInput): RegisterState | undefined {
  const expected = expectedBy(input)
  return expected === undefined ? state : having(state, expected)
}

function deleted(state: RegisterState, input: RegisterInput): RegisterState | undefined {
  const before = admitting(state, input)
  return before?.value === undefined ? undefined : { ...before, value: undefined, version: undefined }
}

/** An entry with compare-and-swap, whose versions only grow, also over deletion. */
export const register: Model<RegisterInput, RegisterOutput, RegisterState> = {
  initial: { value: undefined, version: undefined, newest: 0n },

  step(state, { input, output }: Answered<RegisterInput, RegisterOutput>) {
    const { version, entry = null } = output
    switch (input.op) {
      case 'get':
        return seeing(state, entry)
      case 'delete': {
        if (output.deleted) return deleted(state, input)
        if (state.value === undefined) return state
        return input.expected === undefined || BigInt(input.expected) === state.version ? undefined : state
      }
      default: {
        if (version === undefined) {
          const isAsExpected = BigInt(entry?.version ?? 0) === expectedBy(input)
          return input.op === 'set' || isAsExpected ? undefined : seeing(state, entry)
        }
        const before = admitting(state, input)
        return before && written(before, input.value, version)
      }
    }
  },

  guess(state, { input }: Call<RegisterInput>) {
    if (input.op === 'get') return undefined
    if (input.op === 'delete') return deleted(state, input)
    const before = admitting(state, input)
    return before && written(before, input.value, undefined)
  },

  fingerprint: ({ value, version, newest }) => `${String(newest)} ${String(version)} ${String(value)}`,
}
