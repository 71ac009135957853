import { parseStreamId, type StreamId } from '../core/index.js'
import { CorruptRecordError } from './corrupt-record.js'
import type { Database, WriteStep } from './database.js'
import { forkName } from './fork-watch.js'
import type { Health } from './health.js'
import { KIND, kindRange, offsetOfKey, singleKey, streamOfKey, StreamKeys } from './keys.js'
import type { SignedHead } from './signed-head.js'
import { decodeSingle, encodeSingle } from './single-value.js'
import { StoreReadOnlyError } from './store-errors.js'
import type { StoreLogger } from './store-options.js'
import { decodeAnnouncedHead, decodeStoredHead, encodeAnnouncedHead, encodeStoredHead } from './stored-head.js'
import { StreamState } from './stream-state.js'
import { EPOCH_SIZE, type StreamTable } from './stream-table.js'

/** Name of the single value that holds it. */
export const EPOCH = 'epoch'
const PROBLEM = 'own-ahead'

/** Heads read at once. */
const PAGE = 256

export interface OwnHistoryOptions {
  readonly meta: Database
  readonly streams: StreamTable
  readonly health: Health
  readonly logger: StoreLogger
}

/** The epoch on record. @throws StoreCorruptError */
export async function loadEpoch(meta: Database): Promise<number> {
  const value = await meta.get(singleKey(EPOCH))
  return value === undefined ? 0 : Number(decodeSingle(EPOCH, value))
}

/** Signed heads on disk, and what they tell of the node's own past: whether it has written more than it holds. */
export class OwnHistory {
  readonly #options: OwnHistoryOptions
  readonly #ahead = new Map<StreamId, SignedHead>()

  constructor(options: OwnHistoryOptions) {
    this.#options = options
  }

  /** Gives the streams their stored heads; returns those that reach beyond what is held. */
  async load(): Promise<readonly SignedHead[]> {
    const beyond: SignedHead[] = []
    const stored = this.#read(KIND.head, (key, value) => decodeStoredHead(streamOfKey(key), offsetOfKey(key), value))
    for await (const [, head] of stored) {
      const { streams } = this.#options
      const state = streams.get(head.stream)
      if (this.isPresent(head.stream)) {
        if (head.nextOffset > (state?.nextOffset ?? 0)) this.#note(head)
        continue
      }
      if (state !== undefined) state.prunedByOwner = Math.max(state.prunedByOwner, head.firstOffset)
      if (state === undefined || head.nextOffset > state.nextOffset) beyond.push(head)
      else state.heads = new Map([...state.heads, [head.blockOffset, head]])
    }
    return [...beyond, ...(await this.#announced())]
  }

  /** Stored heads beyond what is held. Those that are not so any more have others in their place. */
  async #announced(): Promise<SignedHead[]> {
    const { meta, streams } = this.#options
    const heads: SignedHead[] = []
    const outdated: WriteStep[] = []
    const stored = this.#read(KIND.announced, (key, value) => decodeAnnouncedHead(streamOfKey(key), value))
    for await (const [key, head] of stored) {
      const state = streams.get(head.stream)
      if (state?.isReplica === true && head.nextOffset > state.nextOffset) {
        state.prunedByOwner = Math.max(state.prunedByOwner, head.firstOffset)
        heads.push(head)
      } else outdated.push({ type: 'del', key })
    }
    if (outdated.length > 0) await meta.write(outdated, false)
    return heads
  }

  /** Keeps on disk what a head of events that are missing here says to be pruned. */
  async announce(head: SignedHead): Promise<void> {
    const { announced } = new StreamKeys(head.stream)
    await this.#options.meta.write([{ type: 'put', key: announced, value: encodeAnnouncedHead(head) }], false)
  }

  async *#read(
    kind: number,
    decode: (key: Buffer, value: Buffer) => SignedHead,
  ): AsyncGenerator<[key: Buffer, head: SignedHead]> {
    const { meta, logger } = this.#options
    for await (const [key, value] of meta.entries({ ...kindRange(kind), limit: PAGE })) {
      try {
        yield [key, decode(key, value)]
      } catch (error) {
        if (!(error instanceof CorruptRecordError)) throw error
        // Another one comes with the next head that is heard.
        logger.warn({ ...error.place, err: error }, 'a signed head is damaged')
      }
    }
  }

  /** Whether a stream is one that this node writes, or would. */
  isPresent(stream: StreamId): boolean {
    const { nodeId, epoch } = this.#options.streams
    return stream.startsWith(nodeId) && parseStreamId(stream).number >= epoch * EPOCH_SIZE
  }

  ahead(): readonly SignedHead[] {
    return [...this.#ahead.values()]
  }

  /** We have signed this once, and do not hold it any more. Durable, since the next one who tells may be long in coming. */
  async foundAhead(head: SignedHead): Promise<void> {
    const known = this.#ahead.get(head.stream)
    if (known !== undefined && known.nextOffset >= head.nextOffset) return
    this.#note(head)
    // One is enough to know it again after a restart. A copied key would have us write for each commit of the other node.
    if (known !== undefined) return
    const { meta } = this.#options
    const { keys } = new StreamState(head.stream)
    await meta.write([{ type: 'put', key: keys.at('head', head.blockOffset), value: encodeStoredHead(head) }], true)
  }

  #note(head: SignedHead): void {
    const { health, logger, streams } = this.#options
    const { stream, nextOffset } = head
    if (!this.#ahead.has(stream)) {
      logger.error({ stream, nextOffset }, 'others hold more of an own stream than this node does')
    }
    this.#ahead.set(stream, head)
    streams.useLamports(head.lamport)
    const text =
      `others hold events of this node up to offset ${String(nextOffset - 1)} of stream ${stream}, which it has lost: ` +
      'its data are those of an older backup; nothing is published until a new epoch is begun, which keeps what others hold: millrace identity epoch'
    health.refusePublishing(PROBLEM, text, (message) => new StoreReadOnlyError(message))
  }

  /** @param least the epoch has at least this number */
  async beginEpoch(least: number): Promise<number> {
    const { meta, streams, health } = this.#options
    const own = [...streams.all()].filter((state) => streams.isOwn(state)).map(({ stream }) => stream)
    const seen = [...own, ...this.#ahead.keys()].map((stream) => Math.floor(parseStreamId(stream).number / EPOCH_SIZE))
    const epoch = Math.max(least, streams.epoch + 1, ...seen.map((each) => each + 1))
    await meta.write([{ type: 'put', key: singleKey(EPOCH), value: encodeSingle(EPOCH, epoch) }], true)
    streams.beginEpoch(epoch)
    this.#ahead.clear()
    health.clear(PROBLEM)
    for (const stream of own) health.clear(forkName(stream))
    return epoch
  }
}
