import type { EventKey, StreamId } from '../core/index.js'

/** How far something goes in each stream: stream id to offset. */
export type Offsets = Readonly<Record<StreamId, number>>

/** An event of an answer. `P` is what the caller knows of the payload; nobody checks it. */
export interface EventLine<P = unknown> {
  readonly type: 'event'
  readonly lamport: number
  readonly stream: StreamId
  readonly offset: number
  /** Microseconds since 1970. */
  readonly timestamp: number
  readonly tags: readonly string[]
  readonly appId: string
  readonly payload: P
  /** First and last event that went in, where several made this one; their times in µs since 1970. */
  readonly fromKey?: EventKey
  readonly toKey?: EventKey
  readonly fromTime?: number
  readonly toTime?: number
}

/** The withdrawal of an event that was delivered: an aggregate has a new value. */
export interface AntiEventLine<P = unknown> extends Omit<EventLine<P>, 'type'> {
  readonly type: 'antiEvent'
}

/** An event of `subscribeMonotonic`. */
export interface MonotonicEventLine<P = unknown> extends EventLine<P> {
  /** Whether the node has nothing more to deliver at the moment. */
  readonly caughtUp: boolean
}

/** Everything up to these offsets has been delivered. */
export interface OffsetsLine {
  readonly type: 'offsets'
  readonly offsets: Offsets
}

/** An event was left out: the query cannot be computed for it. */
export interface WarningLine {
  readonly type: 'diagnostic'
  readonly severity: 'warning'
  readonly message: string
}

/** Why an answer ends before its time. */
export interface FailureLine {
  readonly type: 'diagnostic'
  readonly severity: 'error'
  readonly message: string
}

/** An event turned up that belongs before delivered ones. */
export interface TimeTravelLine {
  readonly type: 'timeTravel'
  /** Its key: forget what you have from there on. */
  readonly newStart: EventKey
}

/** What a query delivers. */
export type QueryLine<P = unknown> = EventLine<P> | OffsetsLine | WarningLine

/** What a subscription delivers. */
export type SubscribeLine<P = unknown> = QueryLine<P> | AntiEventLine<P>

/** What a monotonic subscription delivers. */
export type MonotonicLine<P = unknown> = MonotonicEventLine<P> | OffsetsLine | WarningLine | TimeTravelLine

/** An event or its withdrawal. */
export type AnswerEvent = EventLine | AntiEventLine

/** One line of any answer. Later versions may send other types; skip what you do not know. */
export type AnswerLine = AnswerEvent | OffsetsLine | WarningLine | FailureLine | TimeTravelLine

/** Reads a line of an answer. Numbers of the payload become doubles; {@link payloadText} has them exactly. */
export function parseAnswerLine(line: string): AnswerLine {
  return JSON.parse(line) as AnswerLine
}

const KNOWN: readonly string[] = ['event', 'antiEvent', 'offsets', 'diagnostic', 'timeTravel']

/** Whether this version knows what the line says. */
export function isKnown(line: AnswerLine): boolean {
  return KNOWN.includes(line.type)
}

/** The payload of an event line as the node wrote it; it is always the last member. */
export function payloadText(line: string): string {
  // A quote inside a string is escaped, so this cannot be part of a tag.
  const at = line.indexOf(',"payload":')
  return at < 0 ? 'null' : line.slice(at + 11, -1)
}
