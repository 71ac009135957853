import { askAgain, newRequestId } from './ask-again.js'
import type { Requests } from './requests.js'

const BASE = '/api/millrace/v1/state/limits'

/** A limit of how much is taken in a time. */
export interface RateLimit {
  readonly max: number
  readonly windowMs: number
  /**
   * `sliding`, the default: any window of that length counts, to a sixtieth of it. `epoch`: windows follow each other, from
   * 1970 on.
   */
  readonly align?: 'epoch' | 'sliding'
}

/** How much of one limit is wanted, 1 by default. */
export interface RateLimitPart extends RateLimit {
  readonly name: string
  readonly n?: number
}

/** What came of asking for some of one limit. */
export interface Taken {
  readonly ok: boolean
  /** In the window, with what was taken now. */
  readonly used: number
  /** Milliseconds after which it may be tried again; 0 when it was taken. */
  readonly retryAfterMs: number
  /** For {@link RateLimitsClient.refund}; only when it was taken. */
  readonly token?: string
}

/** What came of asking for several at once. */
export interface AllTaken extends Omit<Taken, 'used'> {
  /** In the order in which they were asked for. */
  readonly limits: readonly { readonly name: string; readonly used: number; readonly retryAfterMs: number }[]
}

/** Limits of how much is taken in a time, however many ask at once. */
export class RateLimitsClient {
  readonly #requests: Requests

  constructor(requests: Requests) {
    this.#requests = requests
  }

  async take(name: string, n: number, limit: RateLimit, signal?: AbortSignal): Promise<Taken> {
    const { limits, ...rest } = await this.takeAll([{ name, n, ...limit }], signal)
    return { ...rest, used: limits[0]?.used ?? 0 }
  }

  /** Takes all of it or nothing. */
  async takeAll(parts: readonly RateLimitPart[], signal?: AbortSignal): Promise<AllTaken> {
    const body = JSON.stringify({ limits: parts, requestId: newRequestId() })
    return (await askAgain(this.#requests, `${BASE}/take`, body, signal)) as AllTaken
  }

  /** Gives back what was taken, once and within a day. Whether it was there to be given back. */
  async refund(token: string, signal?: AbortSignal): Promise<boolean> {
    const reply = await askAgain(this.#requests, `${BASE}/refund`, JSON.stringify({ token }), signal)
    return (reply as { refunded: boolean }).refunded
  }
}
