import { Type, type TUnsafe } from '@sinclair/typebox'
import { AGE_PATTERN, parseAge, parseCountLimit, parseSizeLimit, SIZE_PATTERN, type Warn } from './quantities.js'
import { decoded, InvalidSettingError, named } from './setting.js'

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
  readonly replicate: boolean
}

/** What the file says about one own stream. */
export interface StreamSetting {
  readonly limits: StreamLimits
  /** Whether other nodes get it. */
  readonly replicate: boolean
}

const STREAM_NAME = '^[A-Za-z0-9_-]+$'

/** Of streams of other nodes; `*` stands for all others. */
const KEEP_NAME = '^([A-Za-z0-9_-]+|[*])$'

/** Names longer than this are refused; they appear in every listing. */
const LONGEST_NAME = 200

/** A limit that may be absent or `null`, which both mean none. */
function limit(form: ReturnType<typeof Type.String>, description: string, parse: (text: string, warn: Warn) => number) {
  return decoded(Type.Union([form, Type.Null()], { default: null, description }), (value: string | null, { warn }) =>
    value === null ? Infinity : parse(value, warn),
  )
}

/** Limits that whoever holds a stream can have. */
const keepLimits = {
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
}

const streamSchema = Type.Object(
  {
    ...keepLimits,
    maxBlockAge: limit(
      Type.String({ pattern: AGE_PATTERN }),
      'Age at which a block is closed although it is not full, so that maxAge holds on slow streams too',
      parseAge,
    ),
    replicate: Type.Boolean({
      default: true,
      description: 'Whether other nodes get the stream; with `false` it stays on this one',
    }),
  },
  { additionalProperties: false, description: 'Limits of a stream; all hold at once, the tightest decides' },
)

const keepSchema = Type.Object(keepLimits, {
  additionalProperties: false,
  description: 'Limits of what is held of a stream; all hold at once, the tightest decides',
})

/** What the file says about own streams, by name. */
export function streamsField(description: string): TUnsafe<ReadonlyMap<string, StreamSetting>> {
  const stream = decoded<StreamSetting>(streamSchema, (written: WrittenLimits) => ({
    limits: { ...toLimits(written), maxBlockAgeMicros: written.maxBlockAge },
    replicate: written.replicate,
  }))
  return namedField(STREAM_NAME, stream, checkLimitedStream, description)
}

/** Limits of replicas by stream name. */
export function keepField(description: string): TUnsafe<ReadonlyMap<string, StreamLimits>> {
  const limits = decoded<StreamLimits>(keepSchema, toLimits)
  const checkName = (name: string) => (name === '*' ? name : checkStreamName(name))
  return namedField(KEEP_NAME, limits, checkName, description)
}

function toLimits({
  maxEvents,
  maxSize,
  maxAge,
}: Pick<WrittenLimits, 'maxEvents' | 'maxSize' | 'maxAge'>): StreamLimits {
  return { maxEvents, maxStoredBytes: maxSize, maxAgeMicros: maxAge, maxBlockAgeMicros: Infinity }
}

function namedField<T>(
  pattern: string,
  value: TUnsafe<T>,
  checkName: (name: string) => unknown,
  description: string,
): TUnsafe<ReadonlyMap<string, T>> {
  const options = { additionalProperties: false, default: {}, description }
  return Type.Unsafe(named(Type.Record(Type.String({ pattern }), value, options), checkName))
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
function checkLimitedStream(name: string): string {
  if (name === 'default') {
    throw new InvalidSettingError(
      "the stream 'default' is permanent and has no limits",
      'route what may go into a stream of another name, and limit that',
    )
  }
  return checkStreamName(name)
}
