import type { NodeId, StreamId } from '../../core/index.js'
import type { SignedHead } from '../../storage/index.js'
import type { Transport } from '../transport.js'
import type { LocalStreams } from './local-streams.js'

/** Blame for a head whose signature is wrong or that says what cannot be. */
const FORGED_POINTS = 25

/**
 * What became of a head: something was learnt from it, it is authentic and nothing new, it is of no use and was not
 * checked, or it is a forgery.
 */
export type HeadIntakeOutcome = 'news' | 'known' | 'unchecked' | 'malformed'

/** Takes in signed heads, whoever passed them on. */
export class HeadIntake {
  readonly #local: LocalStreams
  readonly #transport: Transport
  readonly #onAhead: (stream: StreamId, from: NodeId) => void

  /** @param onAhead somebody knows of events that are missing here */
  constructor(local: LocalStreams, transport: Transport, onAhead: (stream: StreamId, from: NodeId) => void) {
    this.#local = local
    this.#transport = transport
    this.#onAhead = onAhead
  }

  /** Somebody holds so much of a stream of which the same head is known there and here. */
  heldBy(stream: StreamId, nextOffset: number, from: NodeId): void {
    if ((this.#local.status(stream)?.nextOffset ?? 0) < nextOffset) this.#onAhead(stream, from)
  }

  async take(head: SignedHead, from: NodeId): Promise<HeadIntakeOutcome> {
    const { stream } = head
    const known = this.#local.status(stream)
    if (known?.head !== undefined && saysNothingNew(head, known.head)) {
      if (known.nextOffset < known.head.nextOffset) this.#onAhead(stream, from)
      return 'unchecked'
    }
    if (!this.#local.admits(stream, head.name)) return 'unchecked'
    const outcome = await this.#local.saveHead(head)
    switch (outcome.kind) {
      case 'malformed':
        this.#transport.blame(from, FORGED_POINTS, `it sends a head that is not valid: ${outcome.reason}`)
        return 'malformed'
      case 'ahead':
        this.#onAhead(stream, from)
        return 'news'
      case 'known':
      case 'frozen':
        return 'known'
      case 'saved':
      case 'fork':
      case 'own-ahead':
        return 'news'
    }
  }
}

/** Nothing can be learnt from a head that says the same as a known one. */
function saysNothingNew(head: SignedHead, known: SignedHead): boolean {
  return (
    head.nextOffset === known.nextOffset &&
    head.hash.equals(known.hash) &&
    head.blockOffset === known.blockOffset &&
    head.firstOffset <= known.firstOffset
  )
}
