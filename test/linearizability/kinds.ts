import { counter, type CounterInput, type CounterOutput } from './models/counter.js'
import { dedup, type DedupInput, type DedupOutput } from './models/dedup.js'
import { lock, type LockInput, type LockOutput } from './models/lock.js'
import { ALERT, machineModel, type MachineInput, type MachineOutput } from './models/machine.js'
import { register, type RegisterInput, type RegisterOutput } from './models/register.js'
import type { Answered, Failed, Model, Unanswered } from './operation.js'

/** What can be asked of each kind of object, and what it answers. */
export interface Kinds {
  readonly register: { readonly input: RegisterInput; readonly output: RegisterOutput }
  readonly lock: { readonly input: LockInput; readonly output: LockOutput }
  readonly counter: { readonly input: CounterInput; readonly output: CounterOutput }
  readonly dedup: { readonly input: DedupInput; readonly output: DedupOutput }
  readonly machine: { readonly input: MachineInput; readonly output: MachineOutput }
}

export type Kind = keyof Kinds

/** An operation of a history. */
export type Operation<K extends Kind = Kind> = {
  [Name in K]: { readonly kind: Name } & (
    | Answered<Kinds[Name]['input'], Kinds[Name]['output']>
    | Failed<Kinds[Name]['input']>
    | Unanswered<Kinds[Name]['input']>
  )
}[K]

export type Models = { readonly [K in Kind]: Model<Kinds[K]['input'], Kinds[K]['output'], any> }

/** How the objects behave, unless a check says otherwise of its machines. */
export const MODELS: Models = { register, lock, counter, dedup, machine: machineModel(ALERT) }
