import { isUtf8 } from 'node:buffer'
import {
  compactJson,
  JsonError,
  JsonScanner,
  MillraceError,
  TagError,
  toTagSet,
  type NewEvent,
  type TagSet,
} from '../../core/index.js'

/** Nesting that one payload may have; the reference's parser gives up at 128 with the request around it. */
const MAX_PAYLOAD_DEPTH = 124

/** Bytes of one payload. */
export const MAX_PAYLOAD_BYTES = 16 * 1024 * 1024

/** Sets of tags remembered between requests: devices publish with few different ones. */
const REMEMBERED_TAG_SETS = 4096

/** Longest text of a tag list that is worth remembering. */
const REMEMBERED_TEXT_LENGTH = 512

/** One event of a request is bigger than the node stores; nothing of the request was stored. */
export class EventTooLargeError extends MillraceError {
  readonly code = 'ERR_EVENT_TOO_LARGE'

  constructor(size: number, limit: number) {
    super(`Payload too large (${String(size)} > ${String(limit)}).`)
  }
}

/**
 * Splits publish requests into events without touching their payloads. Remembers tag lists by their text, so that
 * events with the same tags share one {@link TagSet} object.
 */
export class PublishBodyReader {
  readonly #tagSets = new Map<string, TagSet>()

  /**
   * The events of `{"data":[{"tags":[…],"payload":…},…]}`; other members are ignored.
   *
   * @param bytes valid UTF-8 or not: checked here
   * @throws JsonError for malformed JSON and for a wrong shape, TagError, EventTooLargeError
   */
  read(bytes: Uint8Array): NewEvent[] {
    checkUtf8(bytes)
    const scanner = new JsonScanner(bytes)
    const events = this.readFrom(scanner)
    scanner.expectEnd()
    return events
  }

  /** As {@link read}, of the object at which the scanner stands in a text that is known to be UTF-8. */
  readFrom(scanner: JsonScanner): NewEvent[] {
    let events: NewEvent[] | undefined
    scanner.members('struct PublishRequest', (name) => {
      if (name !== 'data') {
        scanner.skipValue()
        return
      }
      if (events !== undefined) scanner.fail('duplicate field `data`')
      const list: NewEvent[] = []
      scanner.elements('a sequence', () => list.push(this.readEvent(scanner)))
      events = list
    })
    if (events === undefined) throw new JsonError('missing field `data`', scanner.bytes, scanner.at - 1)
    return events
  }

  /** One event, `{"tags":[…],"payload":…}`; throws as {@link read}. */
  readEvent(scanner: JsonScanner): NewEvent {
    let tags: TagSet | undefined
    let payload: Uint8Array | undefined
    scanner.members('struct PublishEvent', (name) => {
      if (name === 'tags') {
        if (tags !== undefined) scanner.fail('duplicate field `tags`')
        tags = this.#tags(scanner)
      } else if (name === 'payload') {
        if (payload !== undefined) scanner.fail('duplicate field `payload`')
        payload = readPayload(scanner)
      } else scanner.skipValue()
    })
    if (tags === undefined) throw new JsonError('missing field `tags`', scanner.bytes, scanner.at - 1)
    if (payload === undefined) throw new JsonError('missing field `payload`', scanner.bytes, scanner.at - 1)
    return { tags, payload }
  }

  #tags(scanner: JsonScanner): TagSet {
    const { bytes, at: start } = scanner
    scanner.skipValue()
    const length = scanner.at - start
    if (length > REMEMBERED_TEXT_LENGTH) return readTags(scanner, start)
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString('latin1')
    const known = this.#tagSets.get(text)
    if (known !== undefined) return known
    const set = readTags(scanner, start)
    if (this.#tagSets.size >= REMEMBERED_TAG_SETS) this.#tagSets.clear()
    this.#tagSets.set(text, set)
    return set
  }
}

/** Reads the list of tags that begins at `start` once more, now for its values. */
function readTags(scanner: JsonScanner, start: number): TagSet {
  scanner.at = start
  const tags: string[] = []
  scanner.elements('a sequence', () => tags.push(readTag(scanner)))
  return toTagSet(tags)
}

function readTag(scanner: JsonScanner): string {
  const at = scanner.at
  const tag = scanner.string()
  if (tag === '') {
    const { message } = new JsonError('Tag must not be empty', scanner.bytes, at)
    throw new TagError(message)
  }
  return tag
}

function readPayload(scanner: JsonScanner): Uint8Array {
  const start = scanner.at
  const sawSpace = scanner.skipValueNotingSpace(MAX_PAYLOAD_DEPTH)
  const end = scanner.at
  const payload = sawSpace ? compactJson(scanner.bytes, start, end) : scanner.bytes.subarray(start, end)
  if (payload.length > MAX_PAYLOAD_BYTES) throw new EventTooLargeError(payload.length, MAX_PAYLOAD_BYTES)
  return payload
}

function checkUtf8(bytes: Uint8Array): void {
  if (!isUtf8(bytes)) throw new JsonError('invalid UTF-8', bytes, firstInvalidByte(bytes))
}

/** Only on the way to an error: halves the text until the first byte is found that makes it invalid. */
function firstInvalidByte(view: Uint8Array): number {
  let good = 0
  let bad = view.length
  while (good < bad) {
    const middle = (good + bad + 1) >> 1
    // A cut inside a character is invalid too, which only moves the answer by its few bytes.
    if (isUtf8(view.subarray(0, middle))) good = middle
    else bad = middle - 1
  }
  return good
}
