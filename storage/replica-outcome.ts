import type { ForkProof } from './fork-proof.js'

/** Data that are not what they claim to be: whoever sent them is to blame. */
export interface Malformed {
  readonly kind: 'malformed'
  readonly reason: string
}

/** What became of commits, blocks or signatures from elsewhere. */
export type ApplyOutcome =
  | Malformed
  /** Durable and visible now. */
  | { readonly kind: 'applied'; readonly nextOffset: number }
  /** Was there already, or was pruned. */
  | { readonly kind: 'known' }
  /** In order, but what lies before it from this offset on is missing. */
  | { readonly kind: 'gap'; readonly nextOffset: number }
  /** The signatures of complete blocks from this offset on are missing, and nothing more is taken before they are here. */
  | { readonly kind: 'unsealed'; readonly from: number }
  /** Contradicts what its owner signed before. The stream is frozen now. */
  | { readonly kind: 'fork'; readonly proof: ForkProof }
  /** The stream was frozen before: nothing more is taken. */
  | { readonly kind: 'frozen' }
  /** Of an own stream. Nothing is stored. */
  | { readonly kind: 'own' }

/** What became of a signed head. */
export type HeadOutcome =
  | Exclude<ApplyOutcome, { readonly kind: 'applied' | 'gap' | 'unsealed' | 'own' }>
  /** It covers what is held, and is kept. */
  | { readonly kind: 'saved' }
  /** Events from `nextOffset` on are still missing here. */
  | { readonly kind: 'ahead'; readonly nextOffset: number }
  /** We have signed more of an own stream than we hold: the store is a restored backup. Publishing is refused now. */
  | { readonly kind: 'own-ahead' }

/** What became of the proof of a fork that a peer has sent. */
export type ForkOutcome =
  | Extract<ApplyOutcome, { readonly kind: 'malformed' | 'fork' | 'frozen' }>
  /** Signed by the owner, and nothing shows here that it cannot all be true. */
  | { readonly kind: 'unproven' }

export function malformed(reason: string): Malformed {
  return { kind: 'malformed', reason }
}
