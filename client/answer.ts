import type { StreamId } from '../core/index.js'

/** An event of an answer, or the withdrawal of one. */
export interface AnswerEvent {
  readonly type: 'event' | 'antiEvent'
  readonly lamport: number
  readonly stream: StreamId
  readonly offset: number
  /** Microseconds since 1970. */
  readonly timestamp: number
  readonly tags: readonly string[]
  readonly appId: string
  readonly payload: unknown
}

/** One line of an answer. */
export type AnswerLine =
  | AnswerEvent
  | { readonly type: 'offsets'; readonly offsets: Readonly<Record<StreamId, number>> }
  | { readonly type: 'diagnostic'; readonly severity: 'warning' | 'error'; readonly message: string }

/** Reads a line of an answer. Numbers of the payload become doubles; {@link payloadText} has them exactly. */
export function parseAnswerLine(line: string): AnswerLine {
  return JSON.parse(line) as AnswerLine
}

/** The payload of an event line as the node wrote it; it is always the last member. */
export function payloadText(line: string): string {
  // A quote inside a string is escaped, so this cannot be part of a tag.
  const at = line.indexOf(',"payload":')
  return at < 0 ? 'null' : line.slice(at + 11, -1)
}
