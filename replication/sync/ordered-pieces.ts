import type { NodeId, StreamId } from '../../core/index.js'
import { placeOfBlock, VerifiedRun, type ApplyOutcome } from '../../storage/index.js'
import type { SyncAnswer } from '../wire.js'
import type { LocalStreams } from './local-streams.js'

/** What a stream's events come in. */
export type FetchedPiece = Extract<SyncAnswer, { readonly kind: 'run' | 'block' }>

/** Bytes that may be on their way to the disk, and that may wait for what lies before them: lines, and blocks as they came. */
const MAX_APPLYING_BYTES = 8 * 1024 * 1024
const MAX_WAITING_BYTES = 16 * 1024 * 1024

/** Why a piece was not taken. */
export interface PieceFailure {
  readonly outcome: Exclude<ApplyOutcome, { readonly kind: 'applied' | 'known' }>
  /** Who sent it. */
  readonly source: NodeId
}

interface Waiting {
  readonly source: NodeId
  /** A run that was checked, or the bytes of a block, which the store checks. */
  readonly content: VerifiedRun | Uint8Array
  readonly heldBytes: number
  readonly firstOffset: number
  readonly nextOffset: number
}

/**
 * Puts the pieces of one stream in order, whoever they come from, and applies them: several at a time, so that they are
 * checked side by side and share writes.
 */
export class OrderedPieces {
  readonly #local: LocalStreams
  readonly #stream: StreamId
  readonly #sealsAreGone: boolean
  /** Offset up to which everything was handed to the store. */
  #next: number
  readonly #waiting = new Map<number, Waiting>()
  #waitingBytes = 0
  readonly #applying = new Set<Promise<void>>()
  #applyingBytes = 0
  #wakers: (() => void)[] = []
  #failure: PieceFailure | undefined
  #error: Error | undefined

  /** @param sealsAreGone nobody has the signatures of older blocks */
  constructor(local: LocalStreams, stream: StreamId, from: number, sealsAreGone: boolean) {
    this.#local = local
    this.#stream = stream
    this.#sealsAreGone = sealsAreGone
    this.#next = from
  }

  get failure(): PieceFailure | undefined {
    return this.#failure
  }

  /**
   * Takes a piece; resolves when there is room for another one from the same source.
   *
   * @param expected offset that the piece is to hold: what was asked for begins there, or the piece before ended there
   * @returns the offset after it, or `undefined` when nothing more is wanted
   */
  async offer(piece: FetchedPiece, source: NodeId, expected: number, signal: AbortSignal): Promise<number | undefined> {
    const place = await this.#placeOf(piece, source)
    if (typeof place === 'string' || place.firstOffset > expected || place.nextOffset <= expected) {
      const reason = typeof place === 'string' ? place : 'they are other offsets than were asked for'
      this.#fail({ outcome: { kind: 'malformed', reason }, source })
      return undefined
    }
    if (place.nextOffset > this.#next && !this.#waiting.has(place.firstOffset)) {
      this.#waiting.set(place.firstOffset, place)
      this.#waitingBytes += place.heldBytes
      this.#drain()
    }
    while (!signal.aborted && !this.#isOver() && this.#isFull(place.firstOffset)) await this.#woken(signal)
    return signal.aborted || this.#isOver() ? undefined : place.nextOffset
  }

  /** Resolves when nothing is under way any more. @throws the store's own trouble */
  async end(): Promise<void> {
    while (this.#applying.size > 0) await Promise.all(this.#applying)
    if (this.#error !== undefined) throw this.#error
  }

  #isOver(): boolean {
    return this.#failure !== undefined || this.#error !== undefined
  }

  #isFull(firstOffset: number): boolean {
    if (this.#applyingBytes > MAX_APPLYING_BYTES) return true
    return this.#waitingBytes > MAX_WAITING_BYTES && firstOffset > this.#next
  }

  /** @returns why the piece is not to be believed, in words, when it is not */
  async #placeOf(piece: FetchedPiece, source: NodeId): Promise<Waiting | string> {
    if (piece.kind === 'block') {
      const place = placeOfBlock(piece.bytes)
      const isIt = place?.firstOffset === piece.firstOffset && place.nextOffset === piece.nextOffset
      return isIt && place.stream === this.#stream
        ? { ...place, source, content: piece.bytes, heldBytes: piece.bytes.length }
        : 'it is another block than was asked for'
    }
    const run = await this.#local.verifyRun(piece.run, source)
    if (typeof run === 'string') return run
    if (run.stream !== this.#stream) return 'they are commits of another stream than was asked for'
    const { from: firstOffset, lineBytes: heldBytes, head } = run
    return { source, content: run, heldBytes, firstOffset, nextOffset: head.nextOffset }
  }

  #drain(): void {
    for (let found = this.#following(); found !== undefined; found = this.#following()) {
      this.#waiting.delete(found.firstOffset)
      this.#waitingBytes -= found.heldBytes
      this.#next = Math.max(this.#next, found.nextOffset)
      if (!this.#isOver()) this.#start(found)
    }
  }

  #following(): Waiting | undefined {
    for (const each of this.#waiting.values()) if (each.firstOffset <= this.#next) return each
    return undefined
  }

  #start(place: Waiting): void {
    const { heldBytes } = place
    this.#applyingBytes += heldBytes
    const before = [...this.#applying]
    const done = this.#apply(place, before)
      .catch((error: unknown) => {
        this.#error ??= error instanceof Error ? error : new Error(String(error))
      })
      .finally(() => {
        this.#applying.delete(done)
        this.#applyingBytes -= heldBytes
        this.#wake()
      })
    this.#applying.add(done)
  }

  async #apply({ content, source }: Waiting, before: readonly Promise<void>[]): Promise<void> {
    let outcome: ApplyOutcome
    if (content instanceof VerifiedRun) {
      // Blocks take another way to the disk: what follows on them must not overtake them.
      await Promise.all(before)
      if (this.#isOver()) return
      outcome = await this.#local.applyRun(content)
    } else outcome = await this.#local.applyBlock(this.#stream, content, this.#sealsAreGone)
    if (outcome.kind !== 'applied' && outcome.kind !== 'known') this.#fail({ outcome, source })
  }

  #fail(failure: PieceFailure): void {
    this.#failure ??= failure
    this.#wake()
  }

  #wake(): void {
    const wakers = this.#wakers
    this.#wakers = []
    for (const wake of wakers) wake()
  }

  async #woken(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = deferred()
    this.#wakers.push(resolve)
    signal.addEventListener('abort', resolve, { once: true })
    await promise
    signal.removeEventListener('abort', resolve)
  }
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
