import { deflateRaw, inflateRaw, crc32 } from 'node:zlib'
import { promisify } from 'node:util'
import { MillraceError, type AppId, type Clock } from '../core/index.js'
import type { Database, WriteStep } from './database.js'
import { KIND } from './keys.js'
import { StoreCorruptError } from './store-errors.js'

const deflate = promisify(deflateRaw)
const inflate = promisify(inflateRaw)

/** Bytes of a blob at most, and of its deflated form, as with Actyx. */
const MAX_BYTES = 10_485_760
const MAX_DEFLATED_BYTES = 1_048_576

/** Keys deleted or listed per page. */
const PAGE = 1000

/** A blob, or one level of what lies below a path. */
export type BlobContent =
  | { readonly kind: 'file'; readonly mimeType: string; readonly bytes: Uint8Array }
  | { readonly kind: 'folder'; readonly entries: ReadonlyMap<string, BlobEntry> }

/** One name in a listing. Sizes in bytes. */
export type BlobEntry =
  | { readonly type: 'folder' }
  | {
      readonly type: 'file'
      readonly originalSize: number
      readonly compressedSize: number
      readonly mimeType: string
      /** Always `null`: reading writes nothing. */
      readonly atimeMillis: null
      /** Milliseconds since 1970. */
      readonly ctimeMillis: number
    }

/** A blob exceeds what is stored. */
export class BlobTooLargeError extends MillraceError {
  readonly code = 'ERR_PAYLOAD_TOO_LARGE'

  constructor(bytes: number, limit: number) {
    super(`Payload too large (${String(bytes)} > ${String(limit)}).`)
  }
}

/** What stands before the deflated bytes. */
interface BlobHeader {
  readonly mimeType: string
  readonly originalSize: number
  readonly ctimeMillis: number
}

/** CRC-32 over key and value, then the length of the header's JSON. */
const PREFIX_BYTES = 8

/**
 * Files of apps, by path. A path is either a file or a folder: writing one removes what was above and below it.
 *
 * Keys are `0x20 app 0x00 segment/segment/`, the segments percent-encoded, so that a folder is a range of keys.
 */
export class BlobStore {
  readonly #meta: Database
  readonly #clock: Clock
  readonly #refusal: () => Error | undefined
  #writing: Promise<void> = Promise.resolve()

  /** @param refusal why nothing may be written at the moment, if so */
  constructor(meta: Database, clock: Clock, refusal: () => Error | undefined) {
    this.#meta = meta
    this.#clock = clock
    this.#refusal = refusal
  }

  /**
   * Replaces what was at, below and above the path; durable when it resolves.
   *
   * @throws BlobTooLargeError, and what the store refuses writes with
   */
  async put(appId: AppId, path: readonly string[], mimeType: string, bytes: Uint8Array): Promise<void> {
    if (bytes.length > MAX_BYTES) throw new BlobTooLargeError(bytes.length, MAX_BYTES)
    const data = await deflate(bytes)
    if (data.length > MAX_DEFLATED_BYTES) throw new BlobTooLargeError(data.length, MAX_DEFLATED_BYTES)
    const key = keyOf(appId, path)
    const header: BlobHeader = {
      mimeType,
      originalSize: bytes.length,
      ctimeMillis: Math.floor(this.#clock.nowMicros() / 1000),
    }
    const value = encode(key, header, data)
    await this.#write(async () => [
      ...(await this.#deletions(key)),
      ...path.slice(1).map((_, depth): WriteStep => ({ type: 'del', key: keyOf(appId, path.slice(0, depth + 1)) })),
      { type: 'put', key, value },
    ])
  }

  /** `undefined` when there is nothing at or below the path; an empty path is the root of the app. */
  async get(appId: AppId, path: readonly string[]): Promise<BlobContent | undefined> {
    const key = keyOf(appId, path)
    const value = await this.#meta.get(key)
    if (value === undefined) return this.#list(key)
    const { header, data } = decode(key, value)
    const bytes = await inflate(data, { maxOutputLength: MAX_BYTES })
    return { kind: 'file', mimeType: header.mimeType, bytes }
  }

  /** Removes what is at and below the path; durable when it resolves. */
  delete(appId: AppId, path: readonly string[]): Promise<void> {
    return this.#write(() => this.#deletions(keyOf(appId, path)))
  }

  /** One write at a time, since each looks first at what is there. */
  #write(steps: () => Promise<WriteStep[]>): Promise<void> {
    const written = this.#writing.then(async () => {
      const refusal = this.#refusal()
      if (refusal !== undefined) throw refusal
      const list = await steps()
      if (list.length > 0) await this.#meta.write(list, true)
    })
    this.#writing = written.catch(() => undefined)
    return written
  }

  async #deletions(prefix: Buffer): Promise<WriteStep[]> {
    const steps: WriteStep[] = []
    for await (const keys of this.#pages(prefix)) {
      for (const key of keys) steps.push({ type: 'del', key })
    }
    return steps
  }

  async *#pages(prefix: Buffer): AsyncGenerator<Buffer[]> {
    let range: { gte: Buffer } | { gt: Buffer } = { gte: prefix }
    for (;;) {
      const keys = await this.#meta.keys({ ...range, lt: endOf(prefix), limit: PAGE })
      if (keys.length > 0) yield keys
      const last = keys.at(-1)
      if (last === undefined || keys.length < PAGE) return
      range = { gt: last }
    }
  }

  async #list(prefix: Buffer): Promise<BlobContent | undefined> {
    const entries = new Map<string, BlobEntry>()
    for await (const keys of this.#pages(prefix)) {
      for (const key of keys) {
        const [name = '', ...below] = key.toString('latin1', prefix.length).split('/')
        const entry: BlobEntry | undefined = below.length > 1 ? { type: 'folder' } : await this.#entry(key)
        if (entry !== undefined) entries.set(decodeURIComponent(name), entry)
      }
    }
    return entries.size === 0 ? undefined : { kind: 'folder', entries }
  }

  async #entry(key: Buffer): Promise<BlobEntry | undefined> {
    const value = await this.#meta.get(key)
    if (value === undefined) return undefined
    const { header, data } = decode(key, value)
    const { originalSize, mimeType, ctimeMillis } = header
    return { type: 'file', originalSize, compressedSize: data.length, mimeType, atimeMillis: null, ctimeMillis }
  }
}

function keyOf(appId: AppId, path: readonly string[]): Buffer {
  const segments = path.map((segment) => `${encodeURIComponent(segment)}/`)
  return Buffer.concat([Buffer.of(KIND.blob), Buffer.from(`${appId}\0${segments.join('')}`)])
}

/** The end of all keys that begin with `prefix`: no key byte is above those of text. */
function endOf(prefix: Buffer): Buffer {
  return Buffer.concat([prefix, Buffer.of(0xff)])
}

function encode(key: Buffer, header: BlobHeader, data: Buffer): Buffer {
  const text = Buffer.from(JSON.stringify(header))
  const value = Buffer.concat([Buffer.alloc(PREFIX_BYTES), text, data])
  value.writeUInt32LE(text.length, 4)
  value.writeUInt32LE(crc32(value.subarray(4), crc32(key)), 0)
  return value
}

/** That a stored blob is the one that was written there. @throws StoreCorruptError */
export async function verifyBlob(key: Buffer, value: Buffer): Promise<void> {
  const { header, data } = decode(key, value)
  const bytes = await inflate(data, { maxOutputLength: MAX_BYTES })
  if (bytes.length === header.originalSize) return
  throw new StoreCorruptError(`the stored blob ${key.toString('latin1', 1).replace('\0', '/')} has another length`)
}

/** @throws StoreCorruptError */
function decode(key: Buffer, value: Buffer): { readonly header: BlobHeader; readonly data: Buffer } {
  if (value.length < PREFIX_BYTES || value.readUInt32LE(0) !== crc32(value.subarray(4), crc32(key))) {
    throw new StoreCorruptError(`the stored blob ${key.toString('latin1', 1).replace('\0', '/')} is damaged`)
  }
  const headerEnd = PREFIX_BYTES + value.readUInt32LE(4)
  const header = JSON.parse(value.toString('utf8', PREFIX_BYTES, headerEnd)) as BlobHeader
  return { header, data: value.subarray(headerEnd) }
}
