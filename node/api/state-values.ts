import { isUtf8 } from 'node:buffer'
import { compactJson, JsonError, JsonScanner } from '../../core/index.js'
import { MAX_VALUE_BYTES, StateTooLargeError, type Fence, type Ttl } from '../../state/index.js'
import { ApiError } from './errors.js'

/** Milliseconds that anything may live: a hundred years. */
export const MAX_TTL_MS = 100 * 365 * 24 * 60 * 60 * 1000

/** Characters of a request id or an idempotency key. */
const MAX_ID_LENGTH = 256

/** A whole body as JSON text without white space. @throws JsonError, StateTooLargeError */
export function parseValue(body: Uint8Array): string {
  if (!isUtf8(body)) throw new JsonError('invalid UTF-8', body, 0)
  const scanner = new JsonScanner(body)
  const text = readValue(scanner)
  scanner.expectEnd()
  return text
}

/** The value at which the scanner stands, as JSON text without white space. @throws JsonError, StateTooLargeError */
export function readValue(scanner: JsonScanner): string {
  scanner.peek()
  const start = scanner.at
  const sawSpace = scanner.skipValueNotingSpace()
  const { bytes, at: end } = scanner
  const value = sawSpace ? compactJson(bytes, start, end) : bytes.subarray(start, end)
  if (value.length > MAX_VALUE_BYTES) throw new StateTooLargeError('value', value.length)
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString()
}

/** A version or a revision in decimals. @throws ApiError */
export function parseVersion(text: string, what: string): number {
  const version = /^(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : NaN
  if (Number.isSafeInteger(version)) return version
  throw new ApiError('ERR_BAD_REQUEST', `${what} must be a version in decimals, not '${text.slice(0, 40)}'`)
}

/** `<lock>:<fence>`, the name percent-encoded. @throws ApiError */
export function parseFence(text: string | undefined, keyOf: (name: string) => string): Fence | undefined {
  if (text === undefined) return undefined
  const [, name = '', fence = ''] = /^(.+):([0-9]+)$/.exec(text) ?? []
  if (name === '') throw new ApiError('ERR_BAD_REQUEST', 'Millrace-Fence must be the name of a lock, `:` and its fence')
  try {
    return { lock: keyOf(decodeURIComponent(name)), fence: parseVersion(fence, 'Millrace-Fence') }
  } catch (error) {
    if (!(error instanceof URIError)) throw error
    throw new ApiError('ERR_BAD_REQUEST', 'The lock in Millrace-Fence is not percent-encoded UTF-8.')
  }
}

/** Milliseconds, `keep`, or nothing for no end. @throws ApiError */
export function parseTtl(text: string | undefined): Ttl {
  if (text === undefined) return null
  return text === 'keep' ? 'keep' : checkTtl(/^[0-9]{1,15}$/.test(text) ? Number(text) : NaN)
}

/** @throws ApiError */
export function checkTtl(ttlMs: unknown): Ttl {
  if (typeof ttlMs === 'number' && ttlMs >= 1 && ttlMs <= MAX_TTL_MS) return { ttlMs }
  throw new ApiError(
    'ERR_BAD_REQUEST',
    `a time to live is \`keep\` or a number of milliseconds from 1 to ${String(MAX_TTL_MS)}`,
  )
}

/** @throws ApiError */
export function checkId(id: string, what: string): string {
  if (id !== '' && id.length <= MAX_ID_LENGTH && !/\p{Cs}/u.test(id) && !id.includes('\0')) return id
  throw new ApiError('ERR_BAD_REQUEST', `${what} must have 1 to ${String(MAX_ID_LENGTH)} characters`)
}

/** @throws JsonError */
export function readMs(scanner: JsonScanner, least: number, most: number): number {
  const ms = Number(readValue(scanner))
  if (ms >= least && ms <= most) return ms
  return scanner.fail(`expected milliseconds from ${String(least)} to ${String(most)}`)
}

/** @throws JsonError */
export function readWord<W extends string>(scanner: JsonScanner, words: readonly W[]): W {
  const text = scanner.string()
  return words.find((word) => word === text) ?? scanner.fail(`expected ${words.join(' or ')}`)
}

/** @throws ApiError */
export function missing(field: string): never {
  throw new ApiError('ERR_BAD_REQUEST', `missing field \`${field}\``)
}
