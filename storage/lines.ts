import { LINE_TRAILER_LENGTH, type AppId, type EventBatchParts, type StreamId, type TagSet } from '../core/index.js'

/** Bytes of one event's payload at most. */
export const MAX_PAYLOAD_BYTES = 16 * 1024 * 1024

/**
 * Events of one stream as finished lines (see `core/event-line.ts`), with what the lines would have to be parsed for.
 * The arrays run parallel, one entry per line. Immutable. Has all parts of an unfiltered `EventBatch`.
 */
export interface Lines extends EventBatchParts {
  readonly stream: StreamId
  readonly firstOffset: number
  /** The lines are `bytes[starts[0] … starts[count]]`; a slice shares the buffer of the whole, so `starts[0]` may be > 0. */
  readonly bytes: Buffer
  /** count + 1 entries. */
  readonly starts: Uint32Array
  readonly payloads: Uint32Array
  readonly lamports: Float64Array
  readonly timestamps: Float64Array
  readonly tags: readonly TagSet[]
  readonly appIds: readonly AppId[]
}

/** An event that is to become a line. */
export interface LineSource {
  readonly tags: TagSet
  readonly appId: AppId
  /** Checked JSON text without white space. */
  readonly payload: Uint8Array
}

/** What {@link buildLines} takes; arrays run parallel to `events`. */
export interface LinesRequest {
  readonly stream: StreamId
  /** Offsets are consecutive. */
  readonly firstOffset: number
  readonly lamports: Float64Array
  readonly timestamps: Float64Array
  readonly events: readonly LineSource[]
}

export function lineCount(lines: Pick<Lines, 'payloads'>): number {
  return lines.payloads.length
}

/** The text of all lines, a view. */
export function lineBytes(lines: Pick<Lines, 'bytes' | 'starts'>): Buffer {
  return lines.bytes.subarray(lines.starts[0], lines.starts[lines.starts.length - 1])
}

/** Bytes of all payloads: what `storage.block.maxBytes` limits. */
export function payloadBytes(lines: Pick<Lines, 'starts' | 'payloads'>): number {
  let sum = 0
  for (let line = 0; line < lines.payloads.length; line++) {
    sum += (lines.starts[line + 1] ?? 0) - (lines.payloads[line] ?? 0) - LINE_TRAILER_LENGTH
  }
  return sum
}

/** Lines `from` (inclusive) to `to` (exclusive), by line number. Views, no copies. */
export function sliceLines(lines: Lines, from: number, to: number): Lines {
  if (from === 0 && to === lineCount(lines)) return lines
  return {
    stream: lines.stream,
    firstOffset: lines.firstOffset + from,
    bytes: lines.bytes,
    starts: lines.starts.subarray(from, to + 1),
    payloads: lines.payloads.subarray(from, to),
    lamports: lines.lamports.subarray(from, to),
    timestamps: lines.timestamps.subarray(from, to),
    tags: lines.tags.slice(from, to),
    appIds: lines.appIds.slice(from, to),
  }
}

/** One allocation for all lines; per event one write of the header and one copy of the payload. */
export function buildLines(request: LinesRequest): Lines {
  const { stream, firstOffset, lamports, timestamps, events } = request
  const count = events.length
  // Events of one commit often share their tag set. Not kept beyond it: a WeakMap costs more than it saves when sets are new.
  const tagTexts = new Map<TagSet, TagText>()
  const headers = new Array<string>(count)
  const tags = new Array<TagSet>(count)
  const appIds = new Array<AppId>(count)
  let length = 0
  let ascii = true
  let at = 0
  for (const event of events) {
    let tagText = tagTexts.get(event.tags)
    if (tagText === undefined) tagTexts.set(event.tags, (tagText = renderTags(event.tags)))
    const header = `{"type":"event","lamport":${String(lamports[at])},"stream":"${stream}","offset":${String(firstOffset + at)},"timestamp":${String(timestamps[at])},"tags":${tagText.json},"appId":"${event.appId}","payload":`
    length += header.length + tagText.extraBytes + event.payload.length + LINE_TRAILER_LENGTH
    ascii &&= tagText.extraBytes === 0
    headers[at] = header
    tags[at] = event.tags
    appIds[at] = event.appId
    at++
  }
  const bytes = Buffer.allocUnsafe(length)
  const starts = new Uint32Array(count + 1)
  const payloads = new Uint32Array(count)
  writeLines(bytes, { headers, events, ascii, starts, payloads })
  return { stream, firstOffset, bytes, starts, payloads, lamports, timestamps, tags, appIds }
}

interface LineParts {
  readonly headers: readonly string[]
  readonly events: readonly LineSource[]
  /** Whether one byte per character is right for all headers. */
  readonly ascii: boolean
  readonly starts: Uint32Array
  readonly payloads: Uint32Array
}

function writeLines(bytes: Buffer, { headers, events, ascii, starts, payloads }: LineParts): void {
  const encoding = ascii ? 'latin1' : 'utf8'
  let position = 0
  let line = 0
  for (const { payload } of events) {
    starts[line] = position
    position += bytes.write(headers[line] ?? '', position, encoding)
    payloads[line] = position
    bytes.set(payload, position)
    position += payload.length
    bytes[position++] = 0x7d // }
    bytes[position++] = 0x0a // line feed
    line++
  }
  starts[line] = position
}

interface TagText {
  readonly json: string
  /** Bytes of the UTF-8 form beyond one per UTF-16 unit. */
  readonly extraBytes: number
}

function renderTags(tags: TagSet): TagText {
  const json = JSON.stringify(tags)
  return { json, extraBytes: Buffer.byteLength(json) - json.length }
}

/** Lines that follow each other, copied into one buffer. */
export function joinLines(parts: readonly Lines[]): Lines {
  const [first] = parts
  if (first === undefined) throw new RangeError('nothing to join')
  if (parts.length === 1 && first.starts[0] === 0 && first.starts.at(-1) === first.bytes.length) return first
  let count = 0
  let length = 0
  for (const part of parts) {
    count += lineCount(part)
    length += (part.starts[lineCount(part)] ?? 0) - (part.starts[0] ?? 0)
  }
  const joined = {
    stream: first.stream,
    firstOffset: first.firstOffset,
    bytes: Buffer.allocUnsafe(length),
    starts: new Uint32Array(count + 1),
    payloads: new Uint32Array(count),
    lamports: new Float64Array(count),
    timestamps: new Float64Array(count),
    tags: new Array<TagSet>(count),
    appIds: new Array<AppId>(count),
  }
  let line = 0
  let position = 0
  for (const part of parts) {
    const move = position - (part.starts[0] ?? 0)
    const end = part.starts[lineCount(part)] ?? 0
    part.bytes.copy(joined.bytes, position, part.starts[0], end)
    for (let at = 0; at < lineCount(part); at++, line++) {
      joined.starts[line] = (part.starts[at] ?? 0) + move
      joined.payloads[line] = (part.payloads[at] ?? 0) + move
      joined.lamports[line] = part.lamports[at] ?? 0
      joined.timestamps[line] = part.timestamps[at] ?? 0
      joined.tags[line] = part.tags[at] ?? []
      joined.appIds[line] = part.appIds[at] ?? ''
    }
    position = end + move
  }
  joined.starts[line] = position
  return joined
}
