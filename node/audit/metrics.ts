import type { AuditCounters } from '../../audit/index.js'
import { counter, gauge, renderMetric } from '../exposition.js'

const NOTHING: AuditCounters = {
  written: 0,
  dropped: 0,
  refused: 0,
  failures: 0,
  queuedRecords: 0,
  queuedBytes: 0,
  isUp: true,
}

/** The audit as Prometheus text, format 0.0.4; without one nothing is amiss. */
export function renderAuditMetrics(counters: AuditCounters | undefined): string {
  const { written, dropped, refused, failures, queuedRecords, queuedBytes, isUp } = counters ?? NOTHING
  const metrics = [
    counter('millrace_audit_records_total', 'Records that the audit sink has taken.', written),
    counter('millrace_audit_dropped_total', 'Records given up because too many waited.', dropped),
    counter('millrace_audit_refused_total', 'Changes refused because they could not be written down.', refused),
    counter('millrace_audit_failures_total', 'Batches that the audit sink did not take.', failures),
    gauge('millrace_audit_queued_records', 'Records that wait for the audit sink.', queuedRecords),
    gauge('millrace_audit_queued_bytes', 'Bytes of these, about.', queuedBytes),
    gauge('millrace_audit_up', 'Whether the audit sink took the last batch.', isUp ? 1 : 0),
  ]
  return metrics.map(renderMetric).join('')
}
