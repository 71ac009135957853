import type { Random } from '../support/random.js'
import type { Kind, Kinds, Operation } from './kinds.js'
import { earliestEnd } from './models/lease.js'
import { ALERT } from './models/machine.js'

type Seen<K extends Kind> = Operation<K> & { readonly outcome: 'ok' }
type Output<K extends Kind> = Kinds[K]['output']

/** One answer that cannot be, in place of one that could. */
interface Spoilt<K extends Kind = Kind> {
  readonly instead: Seen<K>
  readonly output: Output<K>
}

/** All single answers of a history of one object that are surely wrong, not only unlikely. */
type Spoiler<K extends Kind> = (answers: readonly Seen<K>[], all: readonly Operation<K>[]) => Spoilt<K>[]

const isBefore = (a: Operation & { readonly returned: number }, b: Operation): boolean => a.returned < b.invoked

/** What cannot be: a value that nobody wrote, an older version than somebody had before, two winners of one version. */
const register: Spoiler<'register'> = (answers) =>
  answers.flatMap((instead): Spoilt<'register'>[] => {
    const { input, output } = instead
    if (input.op === 'get') {
      const stale = answers.filter(
        (older) =>
          older.input.op === 'get' &&
          older.output.entry != null &&
          answers.some((newer) => isBefore(newer, instead) && versionIn(newer) > versionIn(older)),
      )
      return [
        { instead, output: { entry: { value: 'nobody wrote this', version: output.entry?.version ?? '1' } } },
        ...stale.map((older) => ({ instead, output: older.output })),
      ]
    }
    if (input.op !== 'cas' || output.version !== undefined || input.expected === '0') return []
    const hasWinner = answers.some(
      (other) =>
        other.input.op === 'cas' && other.output.version !== undefined && other.input.expected === input.expected,
    )
    return hasWinner ? [{ instead, output: { version: String(Number(input.expected) + 1) } }] : []
  })

const versionIn = ({ output: { version, entry } }: Seen<'register'>): number =>
  Number(version ?? (entry == null ? 0 : entry.version))

/** What cannot be: two holders, a fence that was there before, a write with a fence after a newer one was granted. */
const lock: Spoiler<'lock'> = (answers, all) => {
  const grants = answers.filter(({ input, output }) => input.op === 'acquire' && typeof output.fence === 'string')
  return answers.flatMap((instead): Spoilt<'lock'>[] => {
    const { input, output } = instead
    if (input.op === 'write' && output.done === false) {
      const isSuperseded = grants.some(
        (grant) => isBefore(grant, instead) && Number(grant.output.fence) > Number(input.fence),
      )
      return isSuperseded ? [{ instead, output: { done: true } }] : []
    }
    if (input.op !== 'acquire') return []
    const older = grants.filter((grant) => isBefore(grant, instead))
    if (typeof output.fence === 'string') return older.map((grant) => ({ instead, output: grant.output }))
    return older
      .filter((grant) => isSurelyHeld(grant, instead, all))
      .map((grant) => ({ instead, output: { fence: String(Number(grant.output.fence) + 1) } }))
  })
}

/** The grant is current during the whole of another operation: too young to end, and never prolonged or given back. */
function isSurelyHeld(grant: Seen<'lock'>, during: Seen<'lock'>, all: readonly Operation<'lock'>[]): boolean {
  const { input, output, invoked } = grant
  if (input.op !== 'acquire' || during.returned >= earliestEnd(invoked, input.ttlMs)) return false
  return !all.some(
    (other) => 'fence' in other.input && other.input.fence === output.fence && other.input.op !== 'write',
  )
}

/** What cannot be: two increments with one outcome, a sum beyond all that was ever added, less than before. */
const counter: Spoiler<'counter'> = (answers) => {
  const increments = answers.filter(({ input, output }) => input.op === 'increment' && output.value !== null)
  return answers.flatMap((instead): Spoilt<'counter'>[] => {
    if (instead.input.op === 'get') {
      const less = answers.filter((other) => isBefore(other, instead) && Number(other.output.value) > 0)
      return [
        { instead, output: { value: '1000000' } },
        ...less.map(({ output }) => ({ instead, output: { value: String(Number(output.value) - 1) } })),
      ]
    }
    if (instead.output.value === null) return []
    return increments.filter((other) => other !== instead).map(({ output }) => ({ instead, output }))
  })
}

/** What cannot be: a result that nobody had, two results in one window, a claim in progress after the result. */
const dedup: Spoiler<'dedup'> = (answers) => {
  const settled = answers.filter(({ input, output }) => input.op === 'done' && output.done)
  return answers.flatMap((instead): Spoilt<'dedup'>[] => {
    const { input, output } = instead
    if (input.op === 'claim') {
      const spoilt: Spoilt<'dedup'>[] = [{ instead, output: { claim: 'done', result: 'nobody had this' } }]
      if (settled.some((other) => isBefore(other, instead))) {
        spoilt.push(
          { instead, output: { claim: 'inProgress' } },
          { instead, output: { claim: 'new', token: 'another' } },
        )
      }
      return spoilt
    }
    return input.op === 'done' && output.done === false && settled.length > 0
      ? [{ instead, output: { done: true } }]
      : []
  })
}

/** What cannot be: a step that the machine has not, a state that it has left for good. */
const machine: Spoiler<'machine'> = (answers) =>
  answers.flatMap((instead): Spoilt<'machine'>[] => {
    const { input } = instead
    if (input.op === 'get') {
      const hasMoved = answers.some((other) => other.output.done === true && isBefore(other, instead))
      return hasMoved ? [{ instead, output: { from: ALERT.initial } }] : []
    }
    return Object.keys({ ...ALERT.transitions, resolved: [], stale: [] })
      .filter((from) => !(ALERT.transitions[from] ?? []).includes(input.to))
      .map((from) => ({ instead, output: { from, done: true } }))
  })

const SPOILERS: { readonly [K in Kind]: Spoiler<K> } = { register, lock, counter, dedup, machine }

function answersOf(history: readonly Operation[]): Seen<Kind>[] {
  return history.filter(({ outcome }) => outcome === 'ok') as Seen<Kind>[]
}

/** The history with one answer that makes it surely wrong, of objects of one kind; `undefined` when none of its answers can be spoilt so. */
export function spoilHistory(history: readonly Operation[], random: Random): Operation[] | undefined {
  const spoilt = Array.from(new Set(history.map(({ key }) => key))).flatMap((key) => {
    const all = history.filter((operation) => operation.key === key)
    return (SPOILERS[all[0]!.kind] as Spoiler<Kind>)(answersOf(all), all)
  })
  if (spoilt.length === 0) return undefined
  const { instead, output } = random.pick(spoilt)
  return history.map((operation) => (operation === instead ? ({ ...operation, output } as Operation) : operation))
}

/** The history with the answers of two operations of one sort exchanged: wrong or not, two checkers must agree. */
export function shuffleAnswers(history: readonly Operation[], random: Random): Operation[] {
  const answers = answersOf(history)
  if (answers.length === 0) return [...history]
  const one = random.pick(answers)
  const other = random.pick(answers.filter(({ key, input }) => key === one.key && input.op === one.input.op))
  return history.map((operation) => {
    if (operation === one) return { ...one, output: other.output } as Operation
    return operation === other ? ({ ...other, output: one.output } as Operation) : operation
  })
}
