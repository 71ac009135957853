/**
 * The work that costs most in a simulation, done once: all nodes check the same signatures and deflate and inflate the
 * same bytes. What comes out is what each would have got by itself.
 */
import crypto, { type KeyObject } from 'node:crypto'
import zlib, { type InputType, type ZlibOptions } from 'node:zlib'

export type Callback = (error: unknown, result?: unknown) => void

type Transform = (input: InputType, options?: ZlibOptions) => Buffer

/** Results that are remembered of one kind of work, bytes. */
const MAX_REMEMBERED_BYTES = 16 * 1024 * 1024

/** Does at once what would go to another thread, and calls back a turn later. */
function answer(work: () => unknown, callback: Callback): void {
  let result: unknown
  try {
    result = work()
  } catch (error) {
    setImmediate(callback, error)
    return
  }
  setImmediate(callback, null, result)
}

/** Signatures of 64 bytes that stand for one key and one message, as those of Ed25519 do, at a fiftieth of their time. */
export function replaceSignatures(): void {
  const publicKeys = new WeakMap<KeyObject, Buffer>()
  const publicKeyOf = (key: KeyObject): Buffer => {
    const known = publicKeys.get(key)
    if (known !== undefined) return known
    const made = (key.type === 'private' ? crypto.createPublicKey(key) : key).export({ format: 'der', type: 'spki' })
    publicKeys.set(key, made)
    return made
  }
  const sign = (data: Uint8Array, key: KeyObject): Buffer =>
    crypto.createHash('sha512').update(publicKeyOf(key)).update(data).digest()
  Object.assign(crypto, {
    verify: (_algorithm: null, data: Uint8Array, key: KeyObject, signature: Uint8Array): boolean =>
      sign(data, key).equals(signature),
    sign: (_algorithm: null, data: Uint8Array, key: KeyObject, callback?: Callback) => {
      if (callback === undefined) return sign(data, key)
      answer(() => sign(data, key), callback)
      return undefined
    },
  })
}

export function replaceCompression(): void {
  for (const [name, transform] of [
    ['deflateRaw', remembering(zlib.deflateRawSync)],
    ['inflateRaw', remembering(zlib.inflateRawSync)],
  ] as const) {
    Object.assign(zlib, {
      [`${name}Sync`]: transform,
      [name]: (input: InputType, options: ZlibOptions | Callback, callback?: Callback): void => {
        if (typeof options === 'function') answer(() => transform(input), options)
        else if (callback !== undefined) answer(() => transform(input, options), callback)
      },
    })
  }
}

function remembering(transform: Transform): Transform {
  const known = new Map<string, Buffer>()
  let bytes = 0
  return (input, options) => {
    // Such input is never the same twice, see `storage/block-transfer.ts`.
    if (options?.info === true) return transform(input, options)
    const id = `${settingsOf(options)} ${textOf(options?.dictionary)} ${textOf(input)}`
    let result = known.get(id)
    if (result === undefined) {
      result = transform(input, options)
      bytes += id.length + result.length
      if (bytes > MAX_REMEMBERED_BYTES) {
        known.clear()
        bytes = id.length + result.length
      }
      known.set(id, result)
    }
    // Whoever gets it may write to it.
    return Buffer.from(result)
  }
}

/** All that decides what comes out, but the dictionary. */
function settingsOf({ level, windowBits, memLevel, finishFlush, maxOutputLength }: ZlibOptions = {}): string {
  return [level, windowBits, memLevel, finishFlush, maxOutputLength].join()
}

function textOf(input: InputType | undefined): string {
  if (input === undefined) return ''
  if (typeof input === 'string') return input
  const view = ArrayBuffer.isView(input)
    ? Buffer.from(input.buffer, input.byteOffset, input.byteLength)
    : Buffer.from(input)
  return view.toString('latin1')
}
