import { decideAbandon, decideClaim, decideDone, keysOfDedup } from './decide-dedup.js'
import type { ClaimAnswer, ClaimRequest, ClaimToken } from './dedup-types.js'
import type { Draft } from './draft.js'

/** Does something in a commit of its own, which is about to write so many bytes. */
type Change = <R>(keys: readonly Buffer[], decide: (draft: Draft) => R, bytes?: number) => Promise<R>

/**
 * Things that are done once: claimed before, and marked as done behind. Marking only before would swallow another try of
 * what had failed, marking only behind would allow doubles.
 */
export class Dedup {
  readonly #change: Change
  #claims = 0

  constructor(change: Change) {
    this.#change = change
  }

  /** New claims since start. */
  get claimed(): number {
    return this.#claims
  }

  /** @throws StateFullError */
  async claim(request: ClaimRequest): Promise<ClaimAnswer> {
    const answer = await this.#change(keysOfDedup(request.key), (draft) => decideClaim(draft, request))
    if (answer.kind === 'new') this.#claims++
    return answer
  }

  /**
   * When the result was remembered, milliseconds since 1970.
   *
   * @param result JSON text
   * @throws FencedError when the claim is over; StateFullError
   */
  done(token: ClaimToken, result: string): Promise<number> {
    return this.#change(keysOfDedup(token.key), (draft) => decideDone(draft, token, result), result.length)
  }

  /** Whether the claim was still there. */
  abandon(token: ClaimToken): Promise<boolean> {
    return this.#change(keysOfDedup(token.key), (draft) => decideAbandon(draft, token))
  }
}
