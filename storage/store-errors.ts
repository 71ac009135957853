import { MillraceError } from '../core/index.js'

/** The store was closed, or is closing. */
export class StoreClosedError extends MillraceError {
  readonly code = 'ERR_STORE_CLOSED'

  constructor() {
    super('the store is closed')
  }
}

/** Another process holds the data directory. Not retryable: two writers would fork our own streams. */
export class StoreLockedError extends MillraceError {
  readonly code = 'ERR_STORE_LOCKED'

  constructor(directory: string, holder: string, options?: ErrorOptions) {
    super(`data directory ${directory} is in use by ${holder}; stop that process or choose another directory`, options)
  }
}

/** The data were written by a newer version. */
export class StoreFormatError extends MillraceError {
  readonly code = 'ERR_STORE_FORMAT'

  constructor(where: string, found: string, known: number) {
    super(
      `${where} has format version ${found}, this program knows versions up to ${String(known)}; start it with a newer millrace`,
    )
  }
}

/** The database of a topic that is on record is gone. Starting with an empty one would use its offsets again. */
export class StoreMissingError extends MillraceError {
  readonly code = 'ERR_STORE_MISSING'
}

/** No topic of that name has a database here. */
export class TopicUnknownError extends MillraceError {
  readonly code = 'ERR_TOPIC_UNKNOWN'

  constructor(topic: string) {
    super(`there is no topic '${topic}' here`)
  }
}

/** The topic is the one that the node works with. */
export class TopicInUseError extends MillraceError {
  readonly code = 'ERR_TOPIC_IN_USE'

  constructor(topic: string) {
    super(`the topic '${topic}' is in use: name another one in swarm.topic and restart the node before deleting it`)
  }
}

/** The data belong to another node's identity. */
export class StoreWrongNodeError extends MillraceError {
  readonly code = 'ERR_STORE_WRONG_NODE'
}

/** The data directory cannot be used as it is. */
export class DataDirectoryError extends MillraceError {
  readonly code = 'ERR_DATA_DIRECTORY'
}

/** Stored data of the node as a whole are damaged; damage within a stream is a `CorruptRecordError`. */
export class StoreCorruptError extends MillraceError {
  readonly code = 'ERR_STORE_CORRUPT'
}

/** No room on the disk. Nothing was stored; works again by itself when there is room. */
export class StoreFullError extends MillraceError {
  readonly code = 'ERR_STORE_FULL'
}

/** The disk refused a read or a write. */
export class StoreIoError extends MillraceError {
  readonly code = 'ERR_STORE_IO'
}

/** The store answers reads only; the message says why. */
export class StoreReadOnlyError extends MillraceError {
  readonly code = 'ERR_STORE_READ_ONLY'
}

/** One event exceeds what a stream can hold. */
export class EventTooLargeError extends MillraceError {
  readonly code = 'ERR_EVENT_TOO_LARGE'
}

/** Texts of a full disk or an exhausted quota, in LevelDB's and in Node's words. */
const FULL_TEXT = /No space left on device|ENOSPC|EDQUOT|quota exceeded/i

/** Turns what Node's file functions or LevelDB throw into one of the errors above; ours pass through. */
export function toStoreError(error: unknown, doing: string): MillraceError {
  if (error instanceof MillraceError) return error
  const text = describeError(error)
  if (FULL_TEXT.test(text)) return new StoreFullError(`${doing}: no room on the disk`, { cause: error })
  if (/corruption/i.test(text)) return new StoreCorruptError(`${doing}: ${text}`, { cause: error })
  return new StoreIoError(`${doing}: ${text}`, { cause: error })
}

/** Messages of an error and its causes. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${describeError(error.cause)}`
}

/** The `code` of a Node or LevelDB error. */
export function errorCode(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined
}
