import { askAgain, newRequestId } from './ask-again.js'
import type { Requests } from './requests.js'
import { retryPauseMs, type RetryPauses } from './retry.js'
import { abortedError, pause } from './unless-aborted.js'

const BASE = '/api/millrace/v1/state/dedup'

/** Between two looks whether somebody else has done it. */
const LOOKS: RetryPauses = { firstMs: 50, longestMs: 1000 }

/** How something is done once. */
export interface DedupOptions {
  /** How long the result is remembered from when it is there, milliseconds; by default a day. */
  readonly windowMs?: number
  /** How long it may take, milliseconds, before somebody else tries; by default a minute. */
  readonly staleMs?: number
  readonly signal?: AbortSignal
}

/** Who is to do it: the caller, somebody who is at it, or nobody any more. */
export type Claim<R = unknown> =
  | {
      readonly new: true
      readonly token: string
      /** 1, and more for each claim before it that got no result in time. */
      readonly attempt: number
      readonly inProgress?: undefined
      readonly done?: undefined
    }
  | {
      readonly inProgress: true
      /** Milliseconds since 1970. */
      readonly since: number
      readonly attempt: number
      readonly new?: undefined
      readonly token?: undefined
      readonly done?: undefined
    }
  | {
      readonly done: true
      readonly result: R
      /** Milliseconds since 1970. */
      readonly at: number
      readonly new?: undefined
      readonly token?: undefined
      readonly inProgress?: undefined
    }

/** Things that are done once: claimed before, and marked as done behind. */
export class DedupClient {
  readonly #requests: Requests

  constructor(requests: Requests) {
    this.#requests = requests
  }

  /**
   * Does something unless it was done in the window, and returns what came of it, now or then. While somebody else is at it,
   * waits for the result, or for its turn. Work that fails is left to the next one; work that takes longer than `staleMs` may
   * be done by somebody else as well, and its result is then refused.
   *
   * @param work gets the number of the attempt: from 2 on, one before it may have been left half done. Its result must be JSON
   * @throws what the work throws; RequestRefusedError `ERR_FENCED` when it took too long
   */
  async run<R>(key: string, options: DedupOptions, work: (attempt: number) => Promise<R>): Promise<R> {
    const { signal = new AbortController().signal } = options
    for (let waits = 1; ; waits++) {
      const claim = await this.claim<R>(key, options)
      if (claim.done) return claim.result
      if (claim.new) return this.#work(claim.token, () => work(claim.attempt))
      await pause(retryPauseMs(waits, LOOKS, Math.random()), signal)
      if (signal.aborted) throw abortedError(signal.reason)
    }
  }

  /** Claims what nobody has done in the window and nobody is at. */
  async claim<R = unknown>(
    key: string,
    { windowMs, staleMs, requestId = newRequestId(), signal }: DedupOptions & { readonly requestId?: string } = {},
  ): Promise<Claim<R>> {
    const body = JSON.stringify({ key, windowMs, staleMs, requestId })
    return (await askAgain(this.#requests, `${BASE}/claim`, body, signal)) as Claim<R>
  }

  /**
   * Remembers a result for the window. Returns when it was remembered, milliseconds since 1970; the first result stays.
   *
   * @throws RequestRefusedError `ERR_FENCED` when the claim is over
   */
  async done(token: string, result: unknown = null, signal?: AbortSignal): Promise<number> {
    const body = JSON.stringify({ token, result })
    return ((await askAgain(this.#requests, `${BASE}/done`, body, signal)) as { at: number }).at
  }

  /** Lets somebody else try. Whether the claim was still there. */
  async abandon(token: string, signal?: AbortSignal): Promise<boolean> {
    const reply = await askAgain(this.#requests, `${BASE}/abandon`, JSON.stringify({ token }), signal)
    return (reply as { abandoned: boolean }).abandoned
  }

  async #work<R>(token: string, work: () => Promise<R>): Promise<R> {
    let result: R
    try {
      result = await work()
    } catch (error) {
      // Should this fail, the time of the claim ends it.
      await this.abandon(token).catch(() => false)
      throw error
    }
    await this.done(token, result)
    return result
  }
}
