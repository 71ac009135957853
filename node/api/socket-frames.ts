import { JsonError, JsonScanner, MillraceError, type NewEvent } from '../../core/index.js'
import { readString, readUnsigned } from './json-fields.js'

/** What the frame of a request carries. */
export type FramePayload =
  /** Text that has still to be read: `[start, end)` of the frame. */
  | { readonly kind: 'text'; readonly start: number; readonly end: number }
  /** Events to publish, read on the way. */
  | { readonly kind: 'events'; readonly events: readonly NewEvent[] }
  /** Nothing that can be used: the request fails with this. */
  | { readonly kind: 'refused'; readonly error: MillraceError }

/** What a client asks over a WebSocket. */
export type ClientFrame =
  | {
      readonly type: 'request'
      readonly requestId: number
      readonly serviceId: string
      readonly payload: FramePayload
    }
  | { readonly type: 'cancel'; readonly requestId: number }

const MEMBERS = ['type', 'requestId', 'serviceId', 'payload']

/**
 * Reads a frame in one pass. A payload that is JSON but of the wrong shape, or that holds a value which the API does not
 * take, is the fault of its request alone.
 *
 * @param bytes UTF-8
 * @param readEvents reads the payload of a publish
 * @throws JsonError when the frame is not JSON or has the wrong shape
 */
export function parseClientFrame(
  bytes: Uint8Array,
  readEvents: (scanner: JsonScanner) => readonly NewEvent[],
): ClientFrame {
  const scanner = new JsonScanner(bytes)
  let type = ''
  let requestId = -1
  let serviceId: string | undefined
  let payload: FramePayload | undefined
  const request = (): ClientFrame | undefined =>
    requestId >= 0 && type === 'request' && serviceId !== undefined && payload !== undefined
      ? { type, requestId, serviceId, payload }
      : undefined
  try {
    scanner.members('a frame', (name) => {
      if (name === 'type' && type === '') type = readString(scanner)
      else if (name === 'requestId' && requestId < 0) requestId = readUnsigned(scanner)
      else if (name === 'serviceId' && serviceId === undefined) serviceId = readString(scanner)
      else if (name === 'payload' && payload === undefined) {
        payload = readPayload(scanner, serviceId === 'publish' ? readEvents : undefined)
      } else if (MEMBERS.includes(name)) scanner.fail(`duplicate field \`${name}\``)
      else scanner.skipValue()
    })
    scanner.expectEnd()
  } catch (error) {
    if (!(error instanceof JsonError && error.isValue)) throw error
    payload = { kind: 'refused', error }
  }
  if (requestId >= 0 && type === 'cancel') return { type, requestId }
  return request() ?? scanner.fail('not a request', 0)
}

function readPayload(
  scanner: JsonScanner,
  readEvents: ((scanner: JsonScanner) => readonly NewEvent[]) | undefined,
): FramePayload {
  const start = scanner.at
  if (readEvents !== undefined) {
    try {
      return { kind: 'events', events: readEvents(scanner) }
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      scanner.at = start
      scanner.skipValue()
      return { kind: 'refused', error }
    }
  }
  scanner.skipValue()
  return { kind: 'text', start, end: scanner.at }
}

/** Items in one message, at most. */
const MAX_ITEMS = 128

/** Bytes at which a message is closed, unless it holds but one item. */
const TARGET_BYTES = 256 * 1024

const LINE_FEED = 0x0a
const COMMA = 0x2c
const NEXT_END = Buffer.from(']}')

/** The beginning of messages that bring items of the request. */
export function nextPrefix(requestId: number): Buffer {
  return Buffer.from(`{"type":"next","requestId":${String(requestId)},"payload":[`)
}

/** A message of one item, given as JSON text. */
export function nextMessage(requestId: number, item: string): string {
  return `{"type":"next","requestId":${String(requestId)},"payload":[${item}]}`
}

export function completeMessage(requestId: number): string {
  return `{"type":"complete","requestId":${String(requestId)}}`
}

/** Wraps lines, each ended by a line feed, into messages of 1 to 128 items; the lines are copied, not parsed. */
export function* nextMessages(prefix: Buffer, lines: Uint8Array): Generator<Buffer> {
  let start = 0
  while (start < lines.length) {
    const end = messageEnd(lines, start)
    // The last line feed is left out, the others become commas.
    const length = end - start - 1
    const message = Buffer.allocUnsafe(prefix.length + length + NEXT_END.length)
    prefix.copy(message)
    message.set(lines.subarray(start, end - 1), prefix.length)
    NEXT_END.copy(message, prefix.length + length)
    for (let at = message.indexOf(LINE_FEED, prefix.length); at >= 0; at = message.indexOf(LINE_FEED, at + 1)) {
      message[at] = COMMA
    }
    yield message
    start = end
  }
}

/** Where the lines that fit in one message end. */
function messageEnd(lines: Uint8Array, start: number): number {
  let end = start
  for (let items = 0; items < MAX_ITEMS && end < lines.length; items++) {
    const feed = lines.indexOf(LINE_FEED, end)
    const next = feed < 0 ? lines.length : feed + 1
    if (items > 0 && next - start > TARGET_BYTES) break
    end = next
  }
  return end
}
