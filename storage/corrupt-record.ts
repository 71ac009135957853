import { MillraceError, type StreamId } from '../core/index.js'

/** Which stored value is meant. */
export interface RecordPlace {
  readonly stream: StreamId
  /** First offset of the commit or block that the value belongs to. */
  readonly offset: number
  /** Kind of value, or number of the block's part, for the operator. */
  readonly part: string
}

/** Stored bytes are not what was written, or are gone. Nothing of them was delivered; other records are unaffected. */
export class CorruptRecordError extends MillraceError {
  readonly code = 'ERR_STORE_CORRUPT'
  readonly place: RecordPlace
  /** What is wrong, without the place. */
  readonly reason: string
  /** The value does not exist, as after a prune; otherwise it exists and is damaged. */
  readonly missing: boolean

  constructor(place: RecordPlace, reason: string, options?: ErrorOptions & { readonly missing?: boolean }) {
    super(
      `stored data of stream ${place.stream} from offset ${String(place.offset)} (${place.part}): ${reason}`,
      options,
    )
    this.place = place
    this.reason = reason
    this.missing = options?.missing ?? false
  }
}
