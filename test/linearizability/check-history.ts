import { MODELS, type Kind, type Models, type Operation } from './kinds.js'
import { Search, type Finding, type Verdict } from './search.js'

/** How often an operation of one object is tried by default: some seconds, and some 100 MB in the worst case. */
const MAX_STEPS = 500_000

export interface CheckOptions {
  /** Of each object. */
  readonly maxSteps?: number
  /** For machines other than the default one. */
  readonly models?: Models
}

/** What was found of one object. */
export interface ObjectFinding extends Finding {
  readonly kind: Kind
  readonly key: string
}

/** `inconclusive` is no success: the search gave up. One object that is wrong makes the whole history wrong. */
export interface HistoryFinding {
  readonly verdict: Verdict
  readonly objects: readonly ObjectFinding[]
  /** What is wrong, for people; empty when the history is linearizable. */
  readonly problems: readonly string[]
}

/**
 * Whether a history could have come from objects that do one operation after the other, each at some moment between its
 * call and its answer. Objects are looked at one by one: a history is linearizable when that of each object is (Herlihy and
 * Wing, 1990).
 */
export function checkHistory(history: readonly Operation[], options: CheckOptions = {}): HistoryFinding {
  const { maxSteps = MAX_STEPS, models = MODELS } = options
  const objects = byObject(history).map((operations) => {
    const { kind, key } = operations[0]!
    const answered = operations.filter(({ outcome }) => outcome === 'ok') as (Operation & { outcome: 'ok' })[]
    const unanswered = operations.filter(({ outcome }) => outcome === 'unknown')
    return { kind, key, ...new Search(models[kind], answered, unanswered).run(maxSteps) }
  })
  return { verdict: worstOf(objects), objects, problems: objects.flatMap(problemsOf) }
}

function byObject(history: readonly Operation[]): Operation[][] {
  const groups = new Map<string, Operation[]>()
  for (const operation of history) {
    const name = JSON.stringify([operation.kind, operation.key])
    const group = groups.get(name)
    if (group === undefined) groups.set(name, [operation])
    else group.push(operation)
  }
  return [...groups.values()]
}

function worstOf(objects: readonly ObjectFinding[]): Verdict {
  const worst = (['illegal', 'inconclusive'] as const).find((verdict) =>
    objects.some((found) => found.verdict === verdict),
  )
  return worst ?? 'linearizable'
}

function problemsOf({ verdict, kind, key, steps, order, state, stuckAt }: ObjectFinding): string[] {
  if (verdict === 'linearizable') return []
  if (verdict === 'inconclusive') {
    return [
      `${kind} ${key}: gave up after ${steps} steps; fewer operations for each object, or fewer without answer, are easier`,
    ]
  }
  const shown = JSON.stringify(state, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
  const lines = stuckAt.map((operation) => `  ${JSON.stringify(operation)}`)
  return [
    [
      `${kind} ${key}: no order explains the answers. After ${order.length} operations, with the state ${shown}, none of these fits:`,
      ...lines,
    ].join('\n'),
  ]
}
