import { createHmac, timingSafeEqual } from 'node:crypto'
import type { AppId, Clock } from '../../core/index.js'
import { ApiError } from './errors.js'

/** `trial`: an app of `com.example.`; `signed`: one that the operator has listed; `operator`: the operator's own pages. */
export type AppMode = 'trial' | 'signed' | 'operator'

/** Whom the operator's own pages publish and query as. */
export const OPERATOR_APP = 'com.example.console'

/** Whom a token stands for. */
export interface TokenHolder {
  readonly appId: AppId
  readonly version: string
  readonly mode: AppMode
}

/** Issues the tokens of apps and recognises them. */
export interface TokenService {
  issue(holder: TokenHolder): string
  /** @throws ApiError with the code that clients act on: invalid, unauthorized or expired */
  verify(token: string): TokenHolder
}

/** Bytes of a key. */
export const TOKEN_KEY_BYTES = 32

/** How long a token is good for: a day, as with Actyx. */
export const TOKEN_VALIDITY_SECONDS = 86_400

/** Verified tokens remembered, so that requests after the first cost one look-up. */
const REMEMBERED_TOKENS = 4096

const MAC_BYTES = 32
const FORMAT = 1
const HEADER_BYTES = 1 + MAC_BYTES

/** base64url of whole triples of bytes, so that no padding is needed and every bit is significant. */
const OUR_TEXT = /^[A-Za-z0-9_-]*$/
const BASE64_TEXT = /^[A-Za-z0-9+/_-]*={0,2}$/

interface Claims extends TokenHolder {
  /** Microseconds since 1970. */
  readonly created: number
  readonly validitySeconds: number
}

/** Tokens signed with a key of their own: they survive a restart, and renewing the key revokes them all. */
export class SignedTokens implements TokenService {
  readonly #clock: Clock
  readonly #current: Uint8Array
  readonly #retired: readonly Uint8Array[]
  readonly #remembered = new Map<string, Claims>()

  /**
   * @param keys the current key first; after it older ones, whose tokens are told that they have expired, so that
   *   their apps fetch new ones instead of giving up
   */
  constructor(keys: readonly Uint8Array[], clock: Clock) {
    const [current, ...retired] = keys
    if (current?.length !== TOKEN_KEY_BYTES) throw new TypeError(`token key must have ${String(TOKEN_KEY_BYTES)} bytes`)
    this.#current = current
    this.#retired = retired
    this.#clock = clock
  }

  issue({ appId, version, mode }: TokenHolder): string {
    const claims: Claims = {
      appId,
      version,
      mode,
      created: this.#clock.nowMicros(),
      validitySeconds: TOKEN_VALIDITY_SECONDS,
    }
    const text = Buffer.from(JSON.stringify(claims))
    const bytes = Buffer.alloc(Math.ceil((HEADER_BYTES + text.length) / 3) * 3, ' ')
    bytes[0] = FORMAT
    text.copy(bytes, HEADER_BYTES)
    mac(this.#current, bytes).copy(bytes, 1)
    return bytes.toString('base64url')
  }

  verify(token: string): TokenHolder {
    let claims = this.#remembered.get(token)
    if (claims === undefined) {
      claims = this.#open(token)
      if (this.#remembered.size >= REMEMBERED_TOKENS) this.#remembered.clear()
      this.#remembered.set(token, claims)
    }
    if (this.#clock.nowMicros() - claims.created > claims.validitySeconds * 1_000_000) {
      this.#remembered.delete(token)
      throw expired()
    }
    return claims
  }

  #open(token: string): Claims {
    const bytes = decode(token)
    if (bytes[0] !== FORMAT || !OUR_TEXT.test(token) || bytes.length % 3 !== 0) throw unauthorized()
    const given = bytes.subarray(1, HEADER_BYTES)
    if (timingSafeEqual(given, mac(this.#current, bytes))) {
      return JSON.parse(bytes.toString('utf8', HEADER_BYTES)) as Claims
    }
    if (this.#retired.some((key) => timingSafeEqual(given, mac(key, bytes)))) throw expired()
    throw unauthorized()
  }
}

/** What a token says about itself, to show it: whether it is good only its node knows. */
export function readClaims(token: string): (TokenHolder & { readonly expiresMicros: number }) | undefined {
  const bytes = Buffer.from(token, 'base64url')
  if (bytes[0] !== FORMAT || bytes.length <= HEADER_BYTES) return undefined
  try {
    const { appId, version, mode, created, validitySeconds } = JSON.parse(
      bytes.toString('utf8', HEADER_BYTES),
    ) as Claims
    return { appId, version, mode, expiresMicros: created + validitySeconds * 1_000_000 }
  } catch {
    // Of another version of the node, perhaps.
    return undefined
  }
}

function mac(key: Uint8Array, token: Uint8Array): Buffer {
  return createHmac('sha256', key).update(token.subarray(0, 1)).update(token.subarray(HEADER_BYTES)).digest()
}

function decode(token: string): Buffer {
  if (token === '') throw invalid(token, 'Missing token bytes.')
  if (token.length % 4 !== 0 || !BASE64_TEXT.test(token)) throw invalid(token, 'Cannot parse token bytes.')
  const bytes = Buffer.from(token, 'base64')
  if (bytes.length <= HEADER_BYTES) throw invalid(token, 'Not a signed token.')
  return bytes
}

function invalid(token: string, cause: string): ApiError {
  return new ApiError('ERR_TOKEN_INVALID', `Invalid token: '${token}'. ${cause} Please provide a valid bearer token.`)
}

function unauthorized(): ApiError {
  return new ApiError('ERR_TOKEN_UNAUTHORIZED', 'Unauthorized token.')
}

function expired(): ApiError {
  return new ApiError('ERR_TOKEN_EXPIRED', 'Expired token.')
}
