import {
  AppIdError,
  compactJson,
  compileSelection,
  EventBatch,
  JsonError,
  JsonScanner,
  LINE_TRAILER,
  parseAppId,
  renderLineHeader,
  streamIdOf,
  TagError,
  toTagSet,
  type AppId,
  type EventOrder,
  type EventReader,
  type NodeId,
  type ReadRequest,
  type StoredEvent,
  type TagSelection,
  type TagSet,
} from '../core/index.js'
import type { Pragma } from './ast.js'
import { AqlSyntaxError } from './errors.js'
import { timestampMicros } from './literals.js'

/** App id of events that name none. */
const DEFAULT_APP_ID: AppId = 'com.actyx.test'

/** The node that publishes the private events; no real one has this id. */
export const PRAGMA_NODE_ID: NodeId = 'PragmaEvents'.padEnd(43, '.')

const STREAM = streamIdOf(PRAGMA_NODE_ID, 0)

/** A store with just the events of a pragma, in their order, lamport and offset counting from 0. */
export class PragmaStore implements EventReader {
  readonly #batch: EventBatch | undefined

  private constructor(batch: EventBatch | undefined) {
    this.#batch = batch
  }

  /**
   * @param text the whole query text, for the position of a fault
   * @throws AqlSyntaxError for a line that is no event
   */
  static parse(pragma: Pragma, text: string, nowMicros: number): PragmaStore {
    const events: PragmaEvent[] = []
    let offset = pragma.span.start
    for (const line of linesOf(pragma.value)) {
      events.push(parseLine(line, text, offset, nowMicros))
      offset += line.length + (text.startsWith('\r\n', offset + line.length) ? 2 : 1)
    }
    return new PragmaStore(events.length === 0 ? undefined : toBatch(events))
  }

  /** Bounds of a request are about other streams and do not count. */
  async *read({ selection, order }: ReadRequest): AsyncGenerator<EventBatch> {
    const batch = this.#match(selection, order)
    if (batch !== undefined) yield await Promise.resolve(batch)
  }

  select(selection: TagSelection, order: EventOrder): StoredEvent[] {
    const batch = this.#match(selection, order)
    return Array.from({ length: batch?.length ?? 0 }, (_, at) => batch?.event(at)).filter(
      (event) => event !== undefined,
    )
  }

  #match(selection: TagSelection, order: EventOrder): EventBatch | undefined {
    const batch = this.#batch
    if (batch === undefined) return undefined
    const matches = compileSelection(selection, PRAGMA_NODE_ID)
    const lines = Array.from({ length: batch.length }, (_, line) => line).filter((line) => matches(batch.event(line)))
    if (order === 'desc') lines.reverse()
    return lines.length === 0 ? undefined : batch.select(Uint32Array.from(lines))
  }
}

/** What follows the last line end is no line when it is empty. */
function linesOf(text: string): string[] {
  const lines = text.split(/\r\n|\n|\r/)
  if (lines.at(-1) === '') lines.pop()
  return lines
}

interface PragmaEvent {
  readonly tags: TagSet
  readonly appId: AppId
  readonly timestamp: number
  readonly payload: Uint8Array
}

/** Events nest payloads as deep as published ones may. */
const MAX_PAYLOAD_DEPTH = 124

function parseLine(line: string, text: string, offset: number, nowMicros: number): PragmaEvent {
  try {
    return readEvent(Buffer.from(line), nowMicros)
  } catch (error) {
    if (error instanceof JsonError) {
      const before = Buffer.from(line).subarray(0, error.position).toString().length
      throw new AqlSyntaxError(`pragma events: ${error.reason}`, text, offset + before)
    }
    if (error instanceof TagError || error instanceof AppIdError) {
      throw new AqlSyntaxError(`pragma events: ${error.message}`, text, offset)
    }
    throw error
  }
}

/** @throws JsonError, TagError, AppIdError */
function readEvent(bytes: Uint8Array, nowMicros: number): PragmaEvent {
  const scanner = new JsonScanner(bytes)
  let tags: TagSet = []
  let appId = DEFAULT_APP_ID
  let timestamp: number | undefined
  let time: string | undefined
  let payload: Uint8Array | undefined
  scanner.members('an event object', (name) => {
    const start = scanner.at
    if (name === 'payload') {
      scanner.skipValue(MAX_PAYLOAD_DEPTH)
      payload = compactJson(bytes, start, scanner.at)
    } else if (isNull(scanner)) return
    else if (name === 'tags') tags = readTags(scanner)
    else if (name === 'appId') appId = parseAppId(scanner.string())
    else if (name === 'timestamp') timestamp = readTimestamp(scanner)
    else if (name === 'time') time = scanner.string()
    else scanner.skipValue()
  })
  scanner.expectEnd()
  timestamp ??= time === undefined ? nowMicros : (parseTime(time) ?? scanner.fail('invalid time', 0))
  return { tags, appId, timestamp, payload: payload ?? scanner.fail('missing field `payload`', 0) }
}

/** Passes over a `null`, which means the same as no member. */
function isNull(scanner: JsonScanner): boolean {
  if (scanner.peek() !== 0x6e) return false
  scanner.skipValue()
  return true
}

function readTags(scanner: JsonScanner): TagSet {
  const tags: string[] = []
  scanner.elements('an array of tags', () => {
    tags.push(scanner.string())
  })
  return toTagSet(tags)
}

function readTimestamp(scanner: JsonScanner): number {
  const start = scanner.at
  scanner.skipValue()
  const text = Buffer.from(scanner.bytes.subarray(start, scanner.at)).toString()
  const micros = /^\d+$/.test(text) ? Number(text) : NaN
  return Number.isSafeInteger(micros) ? micros : scanner.fail('invalid timestamp: expected microseconds', start)
}

/** A date as in RFC 3339, or as in the language. */
function parseTime(time: string): number | undefined {
  const parts = /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(:\d\d(?:\.\d+)?)?)?([Zz]|[+-]\d\d:\d\d)$/.exec(time)
  if (parts === null) return undefined
  const [, date = '', clock = '00:00', seconds = ':00', zone = ''] = parts
  if (clock > '23:59' || clock.slice(3) > '59' || seconds.slice(1, 3) > '59') return undefined
  const micros = timestampMicros(date, `T${clock}${seconds}`, zone.toUpperCase())
  return micros === undefined ? undefined : Number(micros)
}

function toBatch(events: readonly PragmaEvent[]): EventBatch {
  const pieces: Uint8Array[] = []
  const starts = new Uint32Array(events.length + 1)
  const payloads = new Uint32Array(events.length)
  let length = 0
  for (const [offset, { tags, appId, timestamp, payload }] of events.entries()) {
    const tagsJson = JSON.stringify(tags)
    const header = Buffer.from(
      renderLineHeader({ lamport: offset, stream: STREAM, offset, timestamp, tagsJson, appId }),
    )
    starts[offset] = length
    payloads[offset] = length + header.length
    pieces.push(header, payload, Buffer.from(LINE_TRAILER))
    length += header.length + payload.length + LINE_TRAILER.length
  }
  starts[events.length] = length
  return new EventBatch({
    stream: STREAM,
    bytes: Buffer.concat(pieces),
    firstOffset: 0,
    starts,
    payloads,
    lamports: Float64Array.from(events, (_, offset) => offset),
    timestamps: Float64Array.from(events, ({ timestamp }) => timestamp),
  })
}
