import type { AccessGuard } from './access.js'
import type { ApiCounters } from './counters.js'
import type { MemoryBudget } from './memory-budget.js'
import type { AccessRules, ApiOptions, ApiTimers } from './options.js'

/** What requests share. */
export interface ApiContext {
  readonly options: ApiOptions
  readonly timers: ApiTimers
  readonly budget: MemoryBudget
  readonly counters: ApiCounters
  /** Aborted at shutdown: streams end then. */
  readonly closing: AbortSignal
  /** May be replaced while requests are under way. */
  access: AccessRules
  guard: AccessGuard
}
