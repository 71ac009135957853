import { MillraceError } from '../core/index.js'
import { MAX_KEY_BYTES, MAX_VALUE_BYTES } from './limits.js'

/** A key has a form that keys cannot have. */
export class StateKeyError extends MillraceError {
  readonly code = 'ERR_STATE_KEY_INVALID'
}

/** A key or a value is bigger than what is kept. */
export class StateTooLargeError extends MillraceError {
  readonly code = 'ERR_STATE_TOO_LARGE'

  constructor(what: 'key' | 'value', bytes: number) {
    const limit = what === 'key' ? MAX_KEY_BYTES : MAX_VALUE_BYTES
    super(`a ${what} of ${String(bytes)} bytes exceeds the limit of ${String(limit)} bytes`)
  }
}

/** The app may not touch this namespace. */
export class StateForbiddenError extends MillraceError {
  readonly code = 'ERR_STATE_FORBIDDEN'
}

/** What is kept has reached `state.maxBytes`. Nothing was changed. */
export class StateFullError extends MillraceError {
  readonly code = 'ERR_STATE_FULL'

  constructor(bytes: number, limit: number) {
    super(
      `the state would take ${String(bytes)} bytes and may take ${String(limit)}; delete keys, or raise state.maxBytes`,
    )
  }
}

/** The stream has gone on since its newest offset was read. Nothing was appended. */
export class OffsetConflictError extends MillraceError {
  readonly code = 'ERR_OFFSET_CONFLICT'
  readonly stream: string
  readonly expected: number
  /** Newest offset that the stream has ever used; -1 when none. */
  readonly actual: number

  constructor(stream: string, expected: number, actual: number) {
    super(`stream ${stream} is at offset ${String(actual)}, not at ${String(expected)}`)
    this.stream = stream
    this.expected = expected
    this.actual = actual
  }

  override get wireMembers(): Readonly<Record<string, unknown>> {
    const { stream, expected, actual } = this
    return { stream, expected, actual }
  }
}

/** A counter would leave its bounds. Nothing was changed. */
export class CounterRangeError extends MillraceError {
  readonly code = 'ERR_COUNTER_RANGE'

  constructor(value: bigint, min: bigint, max: bigint) {
    super(`the counter would be ${String(value)}, outside of ${String(min)} to ${String(max)}`)
  }
}

/** What should be counted up is no whole number. */
export class CounterInvalidError extends MillraceError {
  readonly code = 'ERR_COUNTER_INVALID'

  constructor(key: string) {
    super(`the value of ${key} is no whole number`)
  }
}

/** The lock was not free in time. */
export class LockTimeoutError extends MillraceError {
  readonly code = 'ERR_LOCK_TIMEOUT'

  constructor(name: string, waitMs: number) {
    super(
      waitMs <= 0 ? `somebody else has the lock ${name}` : `the lock ${name} was not free within ${String(waitMs)} ms`,
    )
  }
}

/** The grant has ended: it was released, or its time was over. */
export class LockLostError extends MillraceError {
  readonly code = 'ERR_LOCK_LOST'

  constructor(name: string, fence: number) {
    super(`the grant ${String(fence)} of the lock ${name} has ended`)
  }
}

/** More wait for locks than are taken. */
export class LockQueueFullError extends MillraceError {
  readonly code = 'ERR_LOCK_QUEUE_FULL'

  constructor(waiting: number) {
    super(`${String(waiting)} wait for locks already, and no more may`)
  }
}

/** What the caller holds is not current any more. Nothing was changed. */
export class FencedError extends MillraceError {
  readonly code = 'ERR_FENCED'
}

/** What was asked for lies further back than what is remembered. */
export class CompactedError extends MillraceError {
  readonly code = 'ERR_COMPACTED'
  /** Oldest revision from which on changes are known. */
  readonly oldest: number

  constructor(asked: number, oldest: number) {
    super(
      `changes after revision ${String(asked)} are not remembered any more, only those after ${String(oldest)}; read the keys anew and go on from there`,
    )
    this.oldest = oldest
  }

  override get wireMembers(): Readonly<Record<string, unknown>> {
    return { oldest: String(this.oldest) }
  }
}
