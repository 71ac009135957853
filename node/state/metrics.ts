import type { StateCounters } from '../../state/index.js'
import { counter, gauge, renderMetric } from '../exposition.js'

/** The state as Prometheus text, format 0.0.4. */
export function renderStateMetrics(counters: StateCounters): string {
  const metrics = [
    counter('millrace_state_reads_total', 'Entries and pages of entries read.', counters.reads),
    counter('millrace_state_commits_total', 'Commits that changed entries.', counters.commits),
    counter('millrace_state_conflicts_total', 'Transactions whose conditions did not hold.', counters.conflicts),
    counter('millrace_state_refused_total', 'Transactions refused with an error.', counters.refused),
    counter('millrace_state_expired_total', 'Entries taken away because their time was over.', counters.expired),
    counter('millrace_state_fenced_total', 'Writes refused since their lock was lost.', counters.fenced),
    counter('millrace_lock_grants_total', 'Locks granted.', counters.lockGrants),
    gauge('millrace_lock_waiters', 'Who waits for a lock.', counters.lockWaiters),
    counter('millrace_dedup_claims_total', 'Things to be done once that somebody began.', counters.dedupClaims),
    gauge('millrace_state_watchers', 'Watches that are open.', counters.watchers),
  ]
  return metrics.map(renderMetric).join('')
}
