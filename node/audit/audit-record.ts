/** A record with where it lies in the stream. */
export interface AuditRecord {
  readonly offset: number
  /** JSON text. */
  readonly record: string
}
