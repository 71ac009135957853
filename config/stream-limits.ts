import { Type, type TUnsafe } from '@sinclair/typebox'
import { AGE_PATTERN, parseAge, parseCountLimit, parseSizeLimit, SIZE_PATTERN, type Warn } from './quantities.js'
import { decoded, InvalidSettingError } from './setting.js'

/** Limits of one stream in the shape that the store takes; `Infinity` means none. */
export interface StreamLimits {
  readonly maxEvents: number
  readonly maxStoredBytes: number
  /** Microseconds. */
  readonly maxAgeMicros: number
  /** Age of its first event at which an unfilled block is sealed, microseconds. */
  readonly maxBlockAgeMicros: number
}

interface WrittenLimits {
  readonly maxEvents: number
  readonly maxSize: number
  readonly maxAge: number
  readonly maxBlockAge: number
}

const STREAM_NAME = '^[A-Za-z0-9_-]+$'

/** Names longer than this are refused; they appear in every listing. */
const LONGEST_NAME = 200

/** A limit that may be absent or `null`, which both mean none. */
function limit(form: ReturnType<typeof Type.String>, description: string, parse: (text: string, warn: Warn) => number) {
  return decoded(Type.Union([form, Type.Null()], { default: null, description }), (value: string | null, { warn }) =>
    value === null ? Infinity : parse(value, warn),
  )
}

const limitsSchema = Type.Object(
  {
    maxEvents: decoded(
      Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
        default: null,
        description: 'Events that are kept at least; older blocks go',
      }),
      (value: bigint | null, { warn }) => (value === null ? Infinity : parseCountLimit(value, warn)),
    ),
    maxSize: limit(
      Type.String({ pattern: SIZE_PATTERN }),
      'Stored bytes that are kept at least, such as 700MB',
      parseSizeLimit,
    ),
    maxAge: limit(Type.String({ pattern: AGE_PATTERN }), 'Age up to which events are kept, such as 41m', parseAge),
    maxBlockAge: limit(
      Type.String({ pattern: AGE_PATTERN }),
      'Age at which a block is closed although it is not full, so that maxAge holds on slow streams too',
      parseAge,
    ),
  },
  { additionalProperties: false, description: 'Limits of a stream; all hold at once, the tightest decides' },
)

/** Limits by stream name. */
export function streamLimitsField(description: string): TUnsafe<ReadonlyMap<string, StreamLimits>> {
  const limits = decoded<StreamLimits>(limitsSchema, (written: WrittenLimits) => ({
    maxEvents: written.maxEvents,
    maxStoredBytes: written.maxSize,
    maxAgeMicros: written.maxAge,
    maxBlockAgeMicros: written.maxBlockAge,
  }))
  return Type.Unsafe(
    Type.Record(Type.String({ pattern: STREAM_NAME }), limits, {
      additionalProperties: false,
      default: {},
      description,
    }),
  )
}

/** Names of streams: the target of a route, the key of limits. */
export function streamNameField(description: string): TUnsafe<string> {
  return decoded(Type.String({ pattern: STREAM_NAME, maxLength: LONGEST_NAME, description }), checkStreamName)
}

/** @throws InvalidSettingError */
export function checkStreamName(name: string): string {
  if (!new RegExp(STREAM_NAME).test(name)) {
    throw new InvalidSettingError(
      name === '' ? 'a stream name cannot be empty' : `'${name}' is no stream name`,
      'letters A-Z and a-z, digits, _ and -',
    )
  }
  if (name.length > LONGEST_NAME)
    throw new InvalidSettingError(`a stream name has at most ${String(LONGEST_NAME)} characters`)
  return name
}

/** A stream that may have limits. @throws InvalidSettingError */
export function checkLimitedStream(name: string): string {
  if (name === 'default') {
    throw new InvalidSettingError(
      "the stream 'default' is permanent and has no limits",
      'route what may go into a stream of another name, and limit that',
    )
  }
  return checkStreamName(name)
}
