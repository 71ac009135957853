import { parseStreamId, StreamIdError, type StreamId } from '../core/index.js'
import { MAX_BROADCAST_BYTES } from './transport.js'
import { WireError, WireReader, WireWriter } from './wire-bytes.js'

/**
 * What nodes say to each other. Runs, heads, blocks and seals are bytes that `storage` makes and checks; they travel as
 * they are, so nothing here has to be believed and nothing is parsed twice.
 */

/** What is broadcast. */
export type LiveMessage =
  /** Commits, as they were made. */
  | { readonly kind: 'run'; readonly run: Uint8Array }
  /** Signed heads, of own streams and of others. */
  | { readonly kind: 'heads'; readonly heads: readonly Uint8Array[] }

/** What one node asks another. */
export type SyncRequest =
  /** All signed heads that it has. Answered with `heads`. */
  | { readonly kind: 'heads' }
  /** What follows in a stream, up to about `maxBytes` in all. Answered with `run`, `block`, `pruned`, or nothing. */
  | { readonly kind: 'fetch'; readonly stream: StreamId; readonly from: number; readonly maxBytes: number }
  /** Signatures of sealed blocks that end after an offset. Answered with `seals`. */
  | { readonly kind: 'seals'; readonly stream: StreamId; readonly from: number; readonly limit: number }

/** One message of an answer. */
export type SyncAnswer =
  | { readonly kind: 'heads'; readonly heads: readonly Uint8Array[] }
  | { readonly kind: 'run'; readonly run: Uint8Array }
  /** A sealed block, which may begin before the offset that was asked for. */
  | {
      readonly kind: 'block'
      readonly firstOffset: number
      readonly nextOffset: number
      readonly bytes: Uint8Array
    }
  /** It begins there only later. */
  | { readonly kind: 'pruned'; readonly firstOffset: number }
  | { readonly kind: 'seals'; readonly seals: readonly Uint8Array[] }

/** Version of everything here. */
const FORMAT = 1
/** First bytes after the version. Never used again for something else. */
const RUN = 1
const HEADS = 2
const FETCH = 3
const SEALS = 4
const BLOCK = 5
const PRUNED = 6

/** A stream id: 43 characters, a dash, and a number. */
const MAX_STREAM_BYTES = 64

export function encodeLive(message: LiveMessage): Buffer {
  return message.kind === 'run' ? begin(RUN).sized(message.run).finish() : list(HEADS, message.heads)
}

/** @returns `undefined` for bytes that are no such message */
export function decodeLive(bytes: Uint8Array): LiveMessage | undefined {
  return decode(bytes, (reader, kind) => {
    if (kind === RUN) return { kind: 'run', run: reader.sized() }
    if (kind === HEADS) return { kind: 'heads', heads: readList(reader) }
    return undefined
  })
}

export function encodeRequest(request: SyncRequest): Buffer {
  switch (request.kind) {
    case 'heads':
      return begin(HEADS).finish()
    case 'fetch':
      return begin(FETCH).text(request.stream).varint(request.from).varint(request.maxBytes).finish()
    case 'seals':
      return begin(SEALS).text(request.stream).varint(request.from).varint(request.limit).finish()
  }
}

/** @returns `undefined` for bytes that are no request */
export function decodeRequest(bytes: Uint8Array): SyncRequest | undefined {
  return decode(bytes, (reader, kind) => {
    if (kind === HEADS) return { kind: 'heads' }
    if (kind === FETCH) {
      return { kind: 'fetch', stream: readStream(reader), from: reader.varint(), maxBytes: reader.varint() }
    }
    if (kind === SEALS) {
      return { kind: 'seals', stream: readStream(reader), from: reader.varint(), limit: reader.varint() }
    }
    return undefined
  })
}

export function encodeAnswer(answer: SyncAnswer): Buffer {
  switch (answer.kind) {
    case 'heads':
      return list(HEADS, answer.heads)
    case 'run':
      return begin(RUN).sized(answer.run).finish()
    case 'block':
      return begin(BLOCK).varint(answer.firstOffset).varint(answer.nextOffset).sized(answer.bytes).finish()
    case 'pruned':
      return begin(PRUNED).varint(answer.firstOffset).finish()
    case 'seals':
      return list(SEALS, answer.seals)
  }
}

/** @returns `undefined` for bytes that are no answer */
export function decodeAnswer(bytes: Uint8Array): SyncAnswer | undefined {
  return decode(bytes, (reader, kind) => {
    if (kind === HEADS) return { kind: 'heads', heads: readList(reader) }
    if (kind === RUN) return { kind: 'run', run: reader.sized() }
    if (kind === BLOCK) {
      return { kind: 'block', firstOffset: reader.varint(), nextOffset: reader.varint(), bytes: reader.sized() }
    }
    if (kind === PRUNED) return { kind: 'pruned', firstOffset: reader.varint() }
    if (kind === SEALS) return { kind: 'seals', seals: readList(reader) }
    return undefined
  })
}

/** Bytes that one item of a list costs beside itself, at most, and a list beside its items. */
const ITEM_BYTES = 4
const LIST_BYTES = 16

/** Groups items so that a list of each group is a message that can be broadcast; one that cannot is left out. */
export function* groupItems(items: Iterable<Uint8Array>): Generator<Uint8Array[]> {
  const room = MAX_BROADCAST_BYTES - LIST_BYTES
  let group: Uint8Array[] = []
  let bytes = 0
  for (const item of items) {
    const size = item.length + ITEM_BYTES
    if (size > room) continue
    if (bytes + size > room) {
      yield group
      group = []
      bytes = 0
    }
    group.push(item)
    bytes += size
  }
  if (group.length > 0) yield group
}

function begin(kind: number): WireWriter {
  return new WireWriter().u8(FORMAT).u8(kind)
}

function list(kind: number, items: readonly Uint8Array[]): Buffer {
  const writer = begin(kind).varint(items.length)
  for (const item of items) writer.sized(item)
  return writer.finish()
}

function decode<T>(bytes: Uint8Array, read: (reader: WireReader, kind: number) => T | undefined): T | undefined {
  const reader = new WireReader(bytes)
  try {
    if (reader.u8() !== FORMAT) return undefined
    const message = read(reader, reader.u8())
    if (message !== undefined) reader.end()
    return message
  } catch (error) {
    if (error instanceof WireError || error instanceof StreamIdError) return undefined
    throw error
  }
}

/** As many as there are bytes for: memory follows what was sent, not what was promised. */
function readList(reader: WireReader): Buffer[] {
  const count = reader.varint()
  if (count > reader.remaining) throw new WireError('it ends too early')
  return Array.from({ length: count }, () => reader.sized())
}

function readStream(reader: WireReader): StreamId {
  const text = reader.text(MAX_STREAM_BYTES)
  parseStreamId(text)
  return text
}
