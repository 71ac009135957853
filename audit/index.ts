export {
  AuditLog,
  type AuditCounters,
  type AuditLogger,
  type AuditMode,
  type AuditOptions,
  type Operation,
  type Outcome,
} from './audit-log.js'
export { clickHouseForm, ndjsonForm } from './batch-form.js'
export { AuditSinkError, AuditUnavailableError } from './errors.js'
export { FileSink, type FileSinkOptions } from './file-sink.js'
export { HttpSink, type HttpSinkOptions } from './http-sink.js'
export type { Redaction } from './redaction.js'
export type { AuditSink } from './sink.js'
