/**
 * The frames on a gossipsub stream, as far as limits need them: what a frame holds in numbers, and where it can be cut.
 * A frame is a varint length and a protobuf message: subscriptions (field 1), messages (2), one control part (3).
 */

/** What a frame asks of us. */
export interface FrameLoad {
  readonly subscriptions: number
  readonly messages: number
  /** Entries of the control part: IHAVE, IWANT, GRAFT, PRUNE, IDONTWANT. */
  readonly controls: number
  readonly controlBytes: number
}

/** A sign of life over the very streams that carry broadcasts. Gossipsub itself skips a field that it does not know. */
export interface Probe {
  readonly kind: 'ping' | 'pong'
  readonly number: number
}

interface Field {
  readonly number: number
  readonly start: number
  /** Of the content, behind tag and length. */
  readonly contentStart: number
  readonly end: number
}

/** An experimental field by the rules of gossipsub: above 0x200000. */
const PROBE_FIELD = 0x6d6c72
const PROBE_TAG = encodeVarint(PROBE_FIELD * 8 + 2)
const PROBE_LENGTH = 5

/** @returns the value and where it ends; `undefined` when it is cut off; `NaN` when it is no length at all */
export function readVarint(bytes: Uint8Array, at: number): { value: number; end: number } | undefined {
  let value = 0
  for (let size = 0; size < 5; size++) {
    const byte = bytes[at + size]
    if (byte === undefined) return undefined
    value += (byte & 127) * 2 ** (7 * size)
    if (byte < 128) return { value, end: at + size + 1 }
  }
  return { value: NaN, end: at }
}

export function encodeVarint(value: number): Uint8Array {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.from([...bytes, rest])
    bytes.push((rest % 128) + 128)
  }
}

/** @returns `undefined` when the bytes are no protobuf message */
export function inspectFrame(frame: Uint8Array): FrameLoad | undefined {
  const load = { subscriptions: 0, messages: 0, controls: 0, controlBytes: 0 }
  for (const field of fieldsOf(frame, 0, frame.length)) {
    if (field === undefined) return undefined
    if (field.number === 1) load.subscriptions++
    else if (field.number === 2) load.messages++
    else if (field.number === 3) {
      load.controlBytes += field.end - field.contentStart
      for (const entry of fieldsOf(frame, field.contentStart, field.end)) {
        if (entry === undefined) return undefined
        load.controls++
      }
    }
  }
  return load
}

/**
 * Cuts a frame between its fields, so that no piece is above `maxBytes` unless a single field is. Protobuf joins
 * repeated fields, so the pieces say together what the whole said.
 */
export function splitFrame(frame: Uint8Array, maxBytes: number): Uint8Array[] {
  if (frame.length <= maxBytes) return [frame]
  const pieces: Uint8Array[] = []
  let start = 0
  let end = 0
  for (const field of fieldsOf(frame, 0, frame.length)) {
    if (field === undefined) return [frame]
    if (field.end - start > maxBytes && end > start) {
      pieces.push(frame.subarray(start, end))
      start = end
    }
    end = field.end
  }
  pieces.push(frame.subarray(start))
  return pieces
}

export function encodeProbe({ kind, number }: Probe): Uint8Array {
  const content = Buffer.alloc(PROBE_LENGTH)
  content.writeUInt8(kind === 'ping' ? 1 : 2)
  content.writeUInt32BE(number, 1)
  return Buffer.concat([PROBE_TAG, Uint8Array.of(PROBE_LENGTH), content])
}

/** @returns `undefined` when the frame is something else */
export function decodeProbe(frame: Uint8Array): Probe | undefined {
  if (frame.length !== PROBE_TAG.length + 1 + PROBE_LENGTH) return undefined
  if (PROBE_TAG.some((byte, at) => frame[at] !== byte)) return undefined
  const content = Buffer.from(frame.buffer, frame.byteOffset + PROBE_TAG.length + 1, PROBE_LENGTH)
  const kind = content.readUInt8()
  if (kind !== 1 && kind !== 2) return undefined
  return { kind: kind === 1 ? 'ping' : 'pong', number: content.readUInt32BE(1) }
}

/** The fields in order; ends with `undefined` where the bytes are none. */
function* fieldsOf(bytes: Uint8Array, start: number, end: number): Generator<Field | undefined> {
  let at = start
  while (at < end) {
    const tag = readVarint(bytes, at)
    const field = tag === undefined ? undefined : fieldBehind(bytes, at, tag)
    if (field === undefined || field.end > end) {
      yield undefined
      return
    }
    yield field
    at = field.end
  }
}

function fieldBehind(bytes: Uint8Array, start: number, tag: { value: number; end: number }): Field | undefined {
  if (Number.isNaN(tag.value)) return undefined
  const number = Math.floor(tag.value / 8)
  const fixed = { number, start, contentStart: tag.end }
  switch (tag.value % 8) {
    case 0: {
      let end = tag.end
      while ((bytes[end] ?? 0) >= 128) end++
      return { ...fixed, end: end + 1 }
    }
    case 1:
      return { ...fixed, end: tag.end + 8 }
    case 2: {
      const length = readVarint(bytes, tag.end)
      if (length === undefined || Number.isNaN(length.value)) return undefined
      return { number, start, contentStart: length.end, end: length.end + length.value }
    }
    case 5:
      return { ...fixed, end: tag.end + 4 }
    default:
      return undefined
  }
}
