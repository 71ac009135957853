/** Where records go. Used by one writer, one call at a time. */
export interface AuditSink {
  readonly name: string
  /** Gets ready; called before the first write, and again before the next one when it has failed. Returns the newest line that is there, as far as the sink can tell. */
  open(): Promise<string | undefined>
  /**
   * Resolves when all lines are kept there. When it rejects they are written again, maybe with others, so a sink that
   * cannot take a half-written batch back may hold some twice.
   *
   * @param lines JSON texts without line feeds
   */
  write(lines: readonly string[], signal: AbortSignal): Promise<void>
  close(): Promise<void>
}
