import type { Answered, Call, Model } from '../operation.js'

/** A transition may name the state that it is to start from. */
export type MachineInput =
  { readonly op: 'get' } | { readonly op: 'transition'; readonly to: string; readonly from?: string }

export interface MachineOutput {
  /** The state: of `get`, and before a transition, done or not. */
  readonly from: string
  /** Of a transition. */
  readonly done?: boolean
}

export interface MachineDefinition {
  readonly initial: string
  /** States that may come next, by state. */
  readonly transitions: Readonly<Record<string, readonly string[]>>
}

/** An alert somewhere in a plant; no state comes back. */
export const ALERT: MachineDefinition = {
  initial: 'firing',
  transitions: {
    firing: ['acknowledged', 'resolved', 'stale'],
    acknowledged: ['resolved'],
  },
}

/**
 * An instance of a state machine. A timeout is an operation of the node: put it into the history as one without answer,
 * invoked when the timeout may fire at the earliest.
 */
export function machineModel({ initial, transitions }: MachineDefinition): Model<MachineInput, MachineOutput, string> {
  const isAllowed = (state: string, input: MachineInput & { readonly op: 'transition' }): boolean =>
    (input.from ?? state) === state && (transitions[state] ?? []).includes(input.to)

  return {
    initial,

    step(state, { input, output }: Answered<MachineInput, MachineOutput>) {
      if (output.from !== state) return undefined
      if (input.op === 'get') return state
      if (isAllowed(state, input) !== (output.done ?? false)) return undefined
      return output.done ? input.to : state
    },

    guess(state, { input }: Call<MachineInput>) {
      return input.op === 'transition' && isAllowed(state, input) ? input.to : undefined
    },

    fingerprint: (state) => state,
  }
}
