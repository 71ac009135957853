/** A query or subscription under way. */
export interface RunningQuery {
  /** For ending it. */
  readonly id: string
  readonly kind: 'query' | 'subscribe' | 'subscribe_monotonic'
  /** AQL; a long text is cut. */
  readonly query: string
  readonly appId: string
  /** Microseconds since 1970. */
  readonly since: number
  /** Rows handed on so far. */
  readonly rows: number
}

/** How much a line of the log matters. */
export type LogSeverity = 'debug' | 'info' | 'warn' | 'error'

/** A line of the node's log. */
export interface LogLine {
  /** Counted from 1 since the node was started. */
  readonly number: number
  /** Microseconds since 1970. */
  readonly time: number
  readonly level: LogSeverity
  readonly message: string
  readonly details: Readonly<Record<string, unknown>>
}
