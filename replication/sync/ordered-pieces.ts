import type { StreamId } from '../../core/index.js'
import { placeOfBlock, VerifiedRun, type ApplyOutcome } from '../../storage/index.js'
import type { SyncAnswer } from '../wire.js'
import type { LocalStreams } from './local-streams.js'

/** What a stream's events come in. */
export type FetchedPiece = Extract<SyncAnswer, { readonly kind: 'run' | 'block' }>

/** Bytes that may be on their way to the disk, and bytes that may wait for what lies before them. */
const MAX_APPLYING_BYTES = 8 * 1024 * 1024
const MAX_WAITING_BYTES = 16 * 1024 * 1024

/** Why a piece was not taken. */
export type PieceFailure = Exclude<ApplyOutcome, { readonly kind: 'applied' | 'known' }>

interface Waiting {
  /** A run that was checked, or the bytes of a block, which the store checks. */
  readonly content: VerifiedRun | Uint8Array
  readonly bytes: number
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
  /** Offset up to which everything was handed to the store. */
  #next: number
  readonly #waiting = new Map<number, Waiting>()
  #waitingBytes = 0
  readonly #applying = new Set<Promise<void>>()
  #applyingBytes = 0
  #wakers: (() => void)[] = []
  #failure: PieceFailure | undefined
  #error: Error | undefined

  constructor(local: LocalStreams, stream: StreamId, from: number) {
    this.#local = local
    this.#stream = stream
    this.#next = from
  }

  get failure(): PieceFailure | undefined {
    return this.#failure
  }

  /**
   * Takes a piece; resolves when there is room for another one from the same source.
   *
   * @returns the offset after it, or `undefined` when nothing more is wanted
   */
  async offer(piece: FetchedPiece, signal: AbortSignal): Promise<number | undefined> {
    const place = await this.#placeOf(piece)
    if (place === undefined) return undefined
    if (place.nextOffset > this.#next && !this.#waiting.has(place.firstOffset)) {
      this.#waiting.set(place.firstOffset, place)
      this.#waitingBytes += place.bytes
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

  async #placeOf(piece: FetchedPiece): Promise<Waiting | undefined> {
    if (piece.kind === 'block') {
      const { firstOffset, nextOffset, bytes } = piece
      const place = placeOfBlock(bytes)
      if (place?.stream === this.#stream && place.from === firstOffset && nextOffset > firstOffset) {
        return { content: bytes, bytes: bytes.length, firstOffset, nextOffset }
      }
      this.#fail({ kind: 'malformed', reason: 'it is another block than was asked for' })
      return undefined
    }
    const run = await this.#local.verifyRun(piece.run)
    if (typeof run !== 'string' && run.stream === this.#stream) {
      return { content: run, bytes: piece.run.length, firstOffset: run.from, nextOffset: run.head.nextOffset }
    }
    const reason = typeof run === 'string' ? run : 'they are commits of another stream than was asked for'
    this.#fail({ kind: 'malformed', reason })
    return undefined
  }

  #drain(): void {
    for (let found = this.#following(); found !== undefined; found = this.#following()) {
      this.#waiting.delete(found.firstOffset)
      this.#waitingBytes -= found.bytes
      this.#next = Math.max(this.#next, found.nextOffset)
      if (!this.#isOver()) this.#start(found)
    }
  }

  #following(): Waiting | undefined {
    for (const each of this.#waiting.values()) if (each.firstOffset <= this.#next) return each
    return undefined
  }

  #start(place: Waiting): void {
    const { bytes } = place
    this.#applyingBytes += bytes
    const before = [...this.#applying]
    const done = this.#apply(place, before)
      .catch((error: unknown) => {
        this.#error ??= error instanceof Error ? error : new Error(String(error))
      })
      .finally(() => {
        this.#applying.delete(done)
        this.#applyingBytes -= bytes
        this.#wake()
      })
    this.#applying.add(done)
  }

  async #apply({ content }: Waiting, before: readonly Promise<void>[]): Promise<void> {
    let outcome: ApplyOutcome
    if (content instanceof VerifiedRun) {
      // Blocks take another way to the disk: what follows on them must not overtake them.
      await Promise.all(before)
      if (this.#isOver()) return
      outcome = await this.#local.applyRun(content)
    } else outcome = await this.#local.applyBlock(this.#stream, content)
    if (outcome.kind !== 'applied' && outcome.kind !== 'known') this.#fail(outcome)
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
