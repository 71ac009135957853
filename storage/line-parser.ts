import { LINE_TRAILER_LENGTH, type AppId, type StreamId, type TagSet } from '../core/index.js'
import { CorruptRecordError } from './corrupt-record.js'
import type { Lines } from './lines.js'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const MINUS = 0x2d
const ZERO = 0x30

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
  /** Where the last line has its tags and app id, and what they are: the next one often has the same bytes. */
  #lastStart = 0
  #lastEnd = 0
  #lastTags: TagSet = []
  #lastAppId: AppId = ''

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
    this.#tagsAndApp()
    if (this.at >= end - 1 || this.#bytes[end - 1] !== 0x7d) this.#fail('a line has no payload')
    this.#starts.push(start)
    this.#payloads.push(this.at)
    this.#lamports.push(lamport)
    this.#timestamps.push(timestamp)
    this.#tags.push(this.#lastTags)
    this.#appIds.push(this.#lastAppId)
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
    const bytes = this.#bytes
    let { at } = this
    for (let index = 0; index < text.length; index++, at++) {
      if (bytes[at] !== text[index]) this.#fail('a line does not have the form of an event')
    }
    this.at = at
  }

  #integer(): number {
    const bytes = this.#bytes
    const negative = bytes[this.at] === MINUS
    const start = negative ? this.at + 1 : this.at
    let at = start
    let value = 0
    for (let byte = bytes[at]; isDigit(byte); byte = bytes[++at]) value = value * 10 + byte - ZERO
    this.at = at
    // The one form of a number: no leading zero, no -0.
    const canonical = at > start && (bytes[start] !== ZERO || (at === start + 1 && !negative))
    if (!canonical || value > Number.MAX_SAFE_INTEGER) this.#fail('a line holds a malformed number')
    return negative ? -value : value
  }

  /** Tags and app id, and what stands between them and the payload. */
  #tagsAndApp(): void {
    if (this.#repeatsLast()) return
    const start = this.at
    this.#lastTags = this.#tagSet()
    this.#expect(APP_MEMBER)
    this.#lastAppId = this.#string()
    this.#expect(PAYLOAD_MEMBER)
    this.#lastStart = start
    this.#lastEnd = this.at
  }

  /** Passes over bytes that are those of the last line. */
  #repeatsLast(): boolean {
    const bytes = this.#bytes
    const end = this.#lastEnd
    let { at } = this
    for (let before = this.#lastStart; before < end; before++, at++) if (bytes[at] !== bytes[before]) return false
    if (at === this.at) return false
    this.at = at
    return true
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

function isDigit(byte: number | undefined): byte is number {
  return byte !== undefined && byte >= ZERO && byte <= 0x39
}

const TYPE_MEMBER = Buffer.from('{"type":"event","lamport":')
const TIMESTAMP_MEMBER = Buffer.from(',"timestamp":')
const TAGS_MEMBER = Buffer.from(',"tags":[')
const APP_MEMBER = Buffer.from(',"appId":')
const PAYLOAD_MEMBER = Buffer.from(',"payload":')
