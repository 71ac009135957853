import { LINE_TRAILER_LENGTH, type AppId, type StreamId, type TagSet } from '../core/index.js'
import { CorruptRecordError } from './corrupt-record.js'
import type { Lines } from './lines.js'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c

/**
 * Takes whole lines apart, checking every byte up to the payload: members, their order, stream and offsets.
 * Payloads are not looked into.
 *
 * @throws CorruptRecordError
 */
export function parseLines(stream: StreamId, firstOffset: number, bytes: Buffer): Lines {
  const parser = new LineParser(stream, firstOffset, bytes)
  while (parser.at < bytes.length) parser.line()
  return parser.finish()
}

class LineParser {
  at = 0
  readonly #bytes: Buffer
  readonly #stream: StreamId
  readonly #firstOffset: number
  readonly #streamMember: Buffer
  readonly #starts: number[] = []
  readonly #payloads: number[] = []
  readonly #lamports: number[] = []
  readonly #timestamps: number[] = []
  readonly #tags: TagSet[] = []
  readonly #appIds: AppId[] = []
  /** Events with equal tags share one set. */
  readonly #sets = new Map<string, TagSet>()

  constructor(stream: StreamId, firstOffset: number, bytes: Buffer) {
    this.#bytes = bytes
    this.#stream = stream
    this.#firstOffset = firstOffset
    this.#streamMember = Buffer.from(`,"stream":"${stream}","offset":`)
  }

  line(): void {
    const start = this.at
    const end = this.#bytes.indexOf(0x0a, start)
    if (end < 0) this.#fail('a line is cut short')
    this.#expect(TYPE_MEMBER)
    const lamport = this.#integer()
    this.#expect(this.#streamMember)
    const offset = this.#integer()
    if (offset !== this.#firstOffset + this.#starts.length) this.#fail('an offset is not the expected one')
    this.#expect(TIMESTAMP_MEMBER)
    const timestamp = this.#integer()
    this.#expect(TAGS_MEMBER)
    const tags = this.#tagSet()
    this.#expect(APP_MEMBER)
    const appId = this.#string()
    this.#expect(PAYLOAD_MEMBER)
    if (this.at >= end - 1 || this.#bytes[end - 1] !== 0x7d) this.#fail('a line has no payload')
    this.#starts.push(start)
    this.#payloads.push(this.at)
    this.#lamports.push(lamport)
    this.#timestamps.push(timestamp)
    this.#tags.push(tags)
    this.#appIds.push(appId)
    this.at = end + LINE_TRAILER_LENGTH - 1
  }

  finish(): Lines {
    return {
      stream: this.#stream,
      firstOffset: this.#firstOffset,
      bytes: this.#bytes,
      starts: Uint32Array.from([...this.#starts, this.at]),
      payloads: Uint32Array.from(this.#payloads),
      lamports: Float64Array.from(this.#lamports),
      timestamps: Float64Array.from(this.#timestamps),
      tags: this.#tags,
      appIds: this.#appIds,
    }
  }

  #expect(text: Buffer): void {
    for (const byte of text) {
      if (this.#bytes[this.at++] !== byte) this.#fail('a line does not have the form of an event')
    }
  }

  #integer(): number {
    const start = this.at
    if (this.#bytes[this.at] === 0x2d) this.at++
    while (isDigit(this.#bytes[this.at])) this.at++
    const text = this.#bytes.toString('latin1', start, this.at)
    const value = Number(text)
    if (!Number.isSafeInteger(value) || String(value) !== text) this.#fail('a line holds a malformed number')
    return value
  }

  #tagSet(): TagSet {
    const start = this.at - 1
    while (this.#bytes[this.at] === QUOTE) {
      this.#string()
      if (this.#bytes[this.at] === COMMA) this.at++
    }
    if (this.#bytes[this.at++] !== 0x5d) this.#fail('a line holds a malformed tag list')
    const text = this.#bytes.toString('utf8', start, this.at)
    let tags = this.#sets.get(text)
    if (tags === undefined) {
      tags = this.#parseTags(text)
      this.#sets.set(text, tags)
    }
    return tags
  }

  #parseTags(text: string): TagSet {
    let tags: unknown
    try {
      tags = JSON.parse(text)
    } catch {
      tags = undefined
    }
    if (!Array.isArray(tags) || JSON.stringify(tags) !== text) this.#fail('a line holds a malformed tag list')
    return tags as TagSet
  }

  /** A JSON string without its quotes, escapes left as they are; leaves the position behind it. */
  #string(): string {
    if (this.#bytes[this.at++] !== QUOTE) this.#fail('a line does not have the form of an event')
    const start = this.at
    for (;;) {
      const byte = this.#bytes[this.at++]
      if (byte === QUOTE) return this.#bytes.toString('utf8', start, this.at - 1)
      if (byte === BACKSLASH) this.at++
      if (byte === undefined || byte < 0x20) this.#fail('a line does not have the form of an event')
    }
  }

  #fail(reason: string): never {
    const offset = this.#firstOffset + this.#starts.length
    throw new CorruptRecordError({ stream: this.#stream, offset, part: 'line' }, reason)
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39
}

const TYPE_MEMBER = Buffer.from('{"type":"event","lamport":')
const TIMESTAMP_MEMBER = Buffer.from(',"timestamp":')
const TAGS_MEMBER = Buffer.from(',"tags":[')
const APP_MEMBER = Buffer.from(',"appId":')
const PAYLOAD_MEMBER = Buffer.from(',"payload":')
