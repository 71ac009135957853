import { setImmediate as nextTurn } from 'node:timers/promises'
import { EventBatch, type Publication } from '../core/index.js'
import { cutAtBlocks, type BlockCut, type BlockLimits } from './block-boundaries.js'
import type { Database, WriteStep } from './database.js'
import type { AppendRequest } from './event-store.js'
import { buildLines, lineBytes, lineCount, type LineSource, type Lines } from './lines.js'
import type { Tip } from './signed-head.js'
import type { StreamState } from './stream-state.js'
import { prepareReplicas, type ReplicaJob, type ReplicaWrite } from './replica-writer.js'
import { decideGroup, readRecords, type DecidedJob } from './state-group.js'
import type { StreamTable } from './stream-table.js'
import type { TailPart } from './tail-block.js'
import { encodeTailRecord, encodeTailRecordAsync, type EncodedTail, type TailBefore } from './tail-record.js'

/** Bytes of lines built in one go before other work gets its turn: a few milliseconds. */
const MAX_BYTES_PER_TURN = 1024 * 1024

/** Bytes of payloads up to which a group is built without leaving the event loop's turn, so that its write begins at once. */
const MAX_BYTES_AT_ONCE = 64 * 1024

const NO_STEPS: readonly WriteStep[] = []

export interface CommitterOptions {
  readonly meta: Database
  readonly streams: StreamTable
  readonly limits: BlockLimits
  readonly topic: string
  /** Whether a commit waits for the disk. */
  readonly sync: boolean
  /** Called while the disk works, with what will be the newest event of a stream if it succeeds. */
  readonly onWriting: (state: StreamState, tip: Tip) => void
}

/** Events of one stream in a group, stamped. */
interface Draft {
  readonly state: StreamState
  readonly events: LineSource[]
  readonly lamports: number[]
  readonly timestamps: number[]
}

/** A group with its offsets and lamports, not yet used up. */
interface StampedGroup {
  readonly drafts: readonly Draft[]
  /** Per request. */
  readonly publications: readonly (readonly Publication[])[]
  readonly nextLamport: number
  readonly payloadBytes: number
}

/** A commit part that is ready to be written. */
interface BuiltPart {
  readonly state: StreamState
  readonly part: TailPart
  readonly value: Buffer
  readonly beginsBlock: boolean
}

/** What became durable. */
export interface Committed {
  readonly publications: readonly (readonly Publication[])[]
  readonly batches: readonly EventBatch[]
  readonly states: readonly StreamState[]
  readonly events: number
  /** Of lines. */
  readonly bytes: number
  /** Whether a block is complete and can be sealed. */
  readonly completedBlock: boolean
  /** From the begin of the group to its being durable. */
  readonly commitMs: number
  /** How long LevelDB and the disk took of that. */
  readonly writeMs: number
}

/** Turns a group of requests into one atomic write: one record per stream. */
export class Committer {
  readonly #options: CommitterOptions

  constructor(options: CommitterOptions) {
    this.#options = options
  }

  /**
   * When it throws, no offset and no lamport is used up.
   *
   * @param replicas what to take over from other nodes in the same write
   */
  commit(requests: readonly AppendRequest[], replicas: readonly ReplicaJob[] = []): Promise<Committed> {
    const began = performance.now()
    return replicas.length === 0
      ? this.#write(requests, undefined, began)
      : this.#writeWithReplicas(requests, replicas, began)
  }

  /**
   * As {@link commit}, with decisions among the requests, which are made now: what becomes of them goes into the same write.
   *
   * @returns what became durable, and the requests in the order of its publications
   */
  async commitDecided(
    jobs: readonly DecidedJob[],
    replicas: readonly ReplicaJob[],
  ): Promise<{ readonly committed: Committed; readonly requests: readonly AppendRequest[] }> {
    const began = performance.now()
    const { meta, streams, topic } = this.#options
    const foreign = replicas.length === 0 ? undefined : await prepareReplicas(replicas, streams, topic)
    try {
      const stored = await readRecords(meta, jobs)
      const { requests, steps } = decideGroup(jobs, stored, streams)
      // Stamps before it waits for anything, so that events get the offsets that the decisions were told.
      const committed = await this.#write(requests, foreign, began, steps)
      return { committed, requests }
    } finally {
      foreign?.release()
    }
  }

  async #writeWithReplicas(
    requests: readonly AppendRequest[],
    replicas: readonly ReplicaJob[],
    began: number,
  ): Promise<Committed> {
    const { streams, topic } = this.#options
    const foreign = await prepareReplicas(replicas, streams, topic)
    try {
      return await this.#write(requests, foreign, began)
    } finally {
      foreign.release()
    }
  }

  async #write(
    requests: readonly AppendRequest[],
    foreign: ReplicaWrite | undefined,
    began: number,
    records: readonly WriteStep[] = NO_STEPS,
  ): Promise<Committed> {
    const group = this.#stamp(requests)
    const built =
      group.payloadBytes <= MAX_BYTES_AT_ONCE
        ? group.drafts.flatMap((draft) => this.#buildAtOnce(draft))
        : (await Promise.all(group.drafts.map((draft) => this.#build(draft)))).flat()
    const steps: WriteStep[] = built.map(({ state, part, value }) => ({
      type: 'put',
      key: state.keys.at('tail', part.lines.firstOffset),
      value,
    }))
    if (foreign !== undefined) steps.push(...foreign.steps)
    if (records.length > 0) steps.push(...records)
    const started = performance.now()
    const writing = steps.length > 0 ? this.#options.meta.write(steps, this.#options.sync) : undefined
    built.forEach((each, at) => {
      if (built[at + 1]?.state !== each.state) this.#options.onWriting(each.state, tipAfter(each))
    })
    await writing
    const ended = performance.now()
    return this.#apply(group, built, foreign, { commitMs: ended - began, writeMs: ended - started })
  }

  #stamp(requests: readonly AppendRequest[]): StampedGroup {
    const { streams } = this.#options
    const drafts = new Map<number, Draft>()
    let lamport = streams.nextLamport
    let payloadBytes = 0
    let draft: Draft | undefined
    const publications = requests.map(({ appId, timestamp, events }) =>
      events.map(({ tags, payload, streamNumber }) => {
        if (draft?.state.number !== streamNumber) {
          draft = drafts.get(streamNumber)
          if (draft === undefined) {
            draft = { state: streams.own(streamNumber), events: [], lamports: [], timestamps: [] }
            drafts.set(streamNumber, draft)
          }
        }
        const { state } = draft
        const publication = { lamport, stream: state.stream, offset: state.nextOffset + draft.events.length, timestamp }
        draft.events.push({ tags, appId, payload })
        draft.lamports.push(lamport++)
        draft.timestamps.push(timestamp)
        payloadBytes += payload.length
        return publication
      }),
    )
    return { drafts: [...drafts.values()], publications, nextLamport: lamport, payloadBytes }
  }

  #cut({ state, events }: Draft): readonly BlockCut[] {
    return cutAtBlocks(
      state.open,
      events.map(({ payload }) => payload.length),
      this.#options.limits,
    )
  }

  #buildAtOnce(draft: Draft): readonly BuiltPart[] {
    let { hash } = draft.state
    return this.#cut(draft).map((cut) => {
      const lines = linesOf(draft, cut)
      const encoded = encodeTailRecord(lines, before(draft.state, cut, hash))
      hash = encoded.hash
      return builtPart(draft.state, cut, lines, encoded)
    })
  }

  async #build(draft: Draft): Promise<readonly BuiltPart[]> {
    const built: BuiltPart[] = []
    let { hash } = draft.state
    let bytes = 0
    for (const cut of this.#cut(draft)) {
      const lines = linesOf(draft, cut)
      const encoded = await encodeTailRecordAsync(lines, before(draft.state, cut, hash))
      hash = encoded.hash
      built.push(builtPart(draft.state, cut, lines, encoded))
      bytes += lineBytes(lines).length
      if (bytes > MAX_BYTES_PER_TURN) {
        bytes = 0
        await nextTurn()
      }
    }
    return built
  }

  #apply(
    group: StampedGroup,
    built: readonly BuiltPart[],
    foreign: ReplicaWrite | undefined,
    times: Pick<Committed, 'commitMs' | 'writeMs'>,
  ): Committed {
    const { streams, limits } = this.#options
    // Something heard from elsewhere may have raised it meanwhile.
    streams.useLamports(group.nextLamport)
    if (foreign !== undefined) streams.hearLamport(foreign.nextLamport)
    let completedBlock = false
    let events = 0
    let bytes = 0
    const batches: EventBatch[] = []
    for (const { state, part, beginsBlock } of built) {
      if (state.add(part, beginsBlock, limits)) completedBlock = true
      const batch = new EventBatch(part.lines)
      batches.push(batch)
      events += batch.length
      bytes += lineBytes(part.lines).length
    }
    const states = group.drafts.map(({ state }) => state)
    if (foreign !== undefined) {
      const replicated = foreign.apply()
      batches.push(...replicated.batches)
      states.push(...replicated.states)
      completedBlock ||= replicated.completedBlock
    }
    return { publications: group.publications, batches, states, events, bytes, completedBlock, ...times }
  }
}

/** Of the last part of a draft: all but the first begin blocks of their own. */
function tipAfter({ state, part: { lines, hash }, beginsBlock }: BuiltPart): Tip {
  const { firstOffset, lamports } = lines
  return {
    nextOffset: firstOffset + lineCount(lines),
    hash,
    lamport: (lamports.at(-1) ?? 0) + 1,
    blockOffset: beginsBlock ? firstOffset : state.open.firstOffset,
  }
}

function before({ open }: StreamState, { beginsBlock }: BlockCut, hash: Buffer): TailBefore {
  return { hash, dictionary: beginsBlock ? undefined : open.dictionary }
}

function builtPart(state: StreamState, { beginsBlock }: BlockCut, lines: Lines, encoded: EncodedTail): BuiltPart {
  const { value, frames, hash } = encoded
  return { state, part: { lines, hash, frames, storedBytes: value.length }, value, beginsBlock }
}

function linesOf({ state, events, lamports, timestamps }: Draft, { from, to }: BlockCut): Lines {
  const whole = from === 0 && to === events.length
  return buildLines({
    stream: state.stream,
    firstOffset: state.nextOffset + from,
    lamports: Float64Array.from(whole ? lamports : lamports.slice(from, to)),
    timestamps: Float64Array.from(whole ? timestamps : timestamps.slice(from, to)),
    events: whole ? events : events.slice(from, to),
  })
}
