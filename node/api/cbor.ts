/** What {@link readCbor} makes of CBOR (RFC 8949): only what signed app manifests hold. */
export type CborValue =
  number | string | boolean | null | Uint8Array | readonly CborValue[] | ReadonlyMap<string, CborValue>

/** Nesting that is read; manifests need two levels. */
const MAX_DEPTH = 8

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** @returns the one value that fills `bytes`, or `undefined` when they are anything else */
export function readCbor(bytes: Uint8Array): CborValue | undefined {
  try {
    const reader = new Reader(bytes)
    const value = reader.value(0)
    return reader.at === bytes.length ? value : undefined
  } catch {
    // Everything that the reader throws means the same: this is not CBOR that we know.
    return undefined
  }
}

class Reader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  value(depth: number): CborValue {
    if (depth > MAX_DEPTH) throw new RangeError('nested too deep')
    const first = this.#view.getUint8(this.at++)
    const major = first >> 5
    if (major === 7) return simple(first & 31)
    const argument = this.#argument(first & 31)
    switch (major) {
      case 0:
        return argument
      case 1:
        return -1 - argument
      case 2:
        return this.#take(argument)
      case 3:
        return utf8.decode(this.#take(argument))
      case 4:
        return this.#list(argument, depth)
      case 5:
        return this.#map(argument, depth)
      default:
        // A tag says something about the value that follows.
        return this.value(depth + 1)
    }
  }

  #argument(kind: number): number {
    if (kind < 24) return kind
    const start = this.at
    switch (kind) {
      case 24:
        this.at += 1
        return this.#view.getUint8(start)
      case 25:
        this.at += 2
        return this.#view.getUint16(start)
      case 26:
        this.at += 4
        return this.#view.getUint32(start)
      case 27:
        this.at += 8
        return Number(this.#view.getBigUint64(start))
      default:
        throw new RangeError('indefinite length')
    }
  }

  #take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.at) throw new RangeError('cut off')
    this.at += length
    return this.#bytes.subarray(this.at - length, this.at)
  }

  #list(length: number, depth: number): CborValue[] {
    const list: CborValue[] = []
    for (let index = 0; index < length; index++) list.push(this.value(depth + 1))
    return list
  }

  #map(length: number, depth: number): Map<string, CborValue> {
    const map = new Map<string, CborValue>()
    for (let index = 0; index < length; index++) {
      const key = this.value(depth + 1)
      if (typeof key !== 'string') throw new TypeError('key is no text')
      map.set(key, this.value(depth + 1))
    }
    return map
  }
}

function simple(kind: number): CborValue {
  if (kind === 20 || kind === 21) return kind === 21
  if (kind === 22) return null
  throw new TypeError('unknown simple value')
}
