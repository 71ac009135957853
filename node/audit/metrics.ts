import type { AuditCounters } from '../../audit/index.js'
import { counter, gauge, renderMetric } from '../exposition.js'

/** The audit as Prometheus text, format 0.0.4; nothing without one. */
export function renderAuditMetrics(counters: AuditCounters | undefined): string {
  if (counters === undefined) return ''
  const { written, dropped, refused, failures, queuedRecords, queuedBytes, isUp } = counters
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
