import type { ApiClient, Delivered, Draft, QueryResult, Receipt } from '../support/api-client.js'
import type { Random } from '../support/random.js'
import { check } from './part.js'

/**
 * The route that an event takes by its tag, and what the node may do with it. `keepAtLeast` is the `maxEvents` of an
 * ephemeral stream, `undefined` means that it keeps all.
 */
export interface Lane {
  readonly tag: string
  readonly keepAtLeast: number | undefined
}

interface Sent {
  readonly id: number
  readonly batch: number
  readonly lane: Lane
  readonly draft: Draft
}

interface Batch {
  readonly events: readonly Sent[]
}

interface Body {
  readonly id: number
}

/** Offsets of a stream are not consecutive in an answer. */
class HoleError extends Error {
  readonly stream: string

  constructor(stream: string, offset: number, previous: number) {
    super(`hole in ${stream}: ${String(offset)} after ${String(previous)}`)
    this.stream = stream
  }
}

async function askForAll(client: ApiClient): Promise<QueryResult> {
  const answer = await client.query('FROM allEvents')
  check(answer.status === 200, () => `query refused: ${String(answer.status)} ${answer.refusal.slice(0, 300)}`)
  return answer
}

/**
 * What an app knows about a node, kept outside of it: everything sent, everything acknowledged, everything ever seen.
 * `verify` holds a node against it. Nothing here survives by trusting the node.
 */
export class Ledger {
  readonly #lanes: readonly Lane[]
  readonly #sent = new Map<number, Sent>()
  readonly #batches = new Map<number, Batch>()
  /** Event id → where it is, from acknowledgements and from earlier answers. These must stay. */
  readonly #known = new Map<number, Receipt>()
  /** `stream/offset` → event id. An offset that ever meant one event can never mean another. */
  readonly #places = new Map<string, number>()
  readonly #lamports = new Map<number, number>()
  readonly #streamOfLane = new Map<Lane, string>()
  /** Oldest offset seen per ephemeral stream: never falls. */
  readonly #firsts = new Map<string, number>()
  readonly #noiseBytes: number
  #nextId = 1
  #nextBatch = 1
  #acknowledged = 0

  /** @param noiseBytes random bytes in each payload, for who wants to fill a disk */
  constructor(lanes: readonly Lane[], noiseBytes = 0) {
    this.#lanes = lanes
    this.#noiseBytes = noiseBytes
  }

  get acknowledged(): number {
    return this.#acknowledged
  }

  get sent(): number {
    return this.#sent.size
  }

  /** Makes up a batch, records that it is on its way, sends it, and records the acknowledgement. */
  async publish(client: Pick<ApiClient, 'publish'>, random: Random, size: number): Promise<void> {
    const batch = this.#nextBatch++
    const events: Sent[] = []
    for (let index = 0; index < size; index++) events.push(this.#draft(random, batch))
    this.#batches.set(batch, { events })
    for (const event of events) this.#sent.set(event.id, event)
    this.#acknowledge(events, await client.publish(events.map((event) => event.draft)))
  }

  /** Asks for everything and compares. @throws Error that says what is wrong */
  async verify(client: ApiClient): Promise<void> {
    const before = await client.offsets()
    const answer = await askForAll(client)
    try {
      this.compare(answer)
    } catch (error) {
      if (!(error instanceof HoleError) || !this.#isPruned(error.stream)) throw error
      // What is pruned while it is being read is missing behind what was read before; asked again, the front is gone too.
      this.compare(await askForAll(client))
    }
    for (const [stream, offset] of Object.entries(before)) {
      check(
        (answer.offsets?.[stream] ?? -1) >= offset,
        () => `offsets of the answer lie behind those of the node in ${stream}`,
      )
    }
  }

  /** Holds one complete ascending answer against the record. */
  compare(answer: QueryResult): void {
    check(answer.diagnostics.length === 0, () => `diagnostics: ${JSON.stringify(answer.diagnostics).slice(0, 300)}`)
    check(answer.offsets !== undefined, () => 'the answer ends without offsets')
    const events = answer.lines.map((line) => JSON.parse(line) as Delivered)
    const present = this.#checkEvents(events)
    const firsts = this.#checkStreams(events, answer.offsets)
    this.#checkKnown(present, firsts)
    this.#checkBatches(present, firsts)
    for (const event of events) this.#remember((event.payload as Body).id, event)
  }

  #isPruned(stream: string): boolean {
    return [...this.#streamOfLane].some(([lane, of]) => of === stream && lane.keepAtLeast !== undefined)
  }

  #draft(random: Random, batch: number): Sent {
    const id = this.#nextId++
    const lane = random.pick(this.#lanes)
    const words = 'abcdefghij'.repeat(1 + random.below(random.chance(0.02) ? 400 : 20))
    const text = this.#noiseBytes === 0 ? words : random.bytes(this.#noiseBytes).toString('base64')
    const tags = [lane.tag, `parity:${String(id % 2)}`]
    return { id, batch, lane, draft: { tags, payload: JSON.stringify({ id, batch, text }) } }
  }

  #acknowledge(events: readonly Sent[], receipts: readonly Receipt[]): void {
    check(events.length === receipts.length, () => 'an acknowledgement has another number of entries than its request')
    for (const [index, receipt] of receipts.entries()) {
      const event = events[index]
      const expected = (receipts[0]?.lamport ?? 0) + index
      check(receipt.lamport === expected, () => `lamports of one request are not consecutive at ${String(expected)}`)
      if (event !== undefined) this.#remember(event.id, receipt)
    }
    this.#acknowledged += events.length
  }

  #remember(id: number, { stream, offset, lamport, timestamp }: Receipt): void {
    const place = `${stream}/${String(offset)}`
    const earlier = this.#places.get(place)
    check(
      earlier === undefined || earlier === id,
      () => `${place} was event ${String(earlier)}, is now ${String(id)}: offset used twice`,
    )
    const holder = this.#lamports.get(lamport)
    check(holder === undefined || holder === id, () => `lamport ${String(lamport)} of ${place} was used before`)
    const known = this.#known.get(id)
    check(
      known === undefined || (known.stream === stream && known.offset === offset && known.timestamp === timestamp),
      () => `event ${String(id)} moved from ${String(known?.stream)}/${String(known?.offset)} to ${place}`,
    )
    this.#places.set(place, id)
    this.#lamports.set(lamport, id)
    this.#known.set(id, { stream, offset, lamport, timestamp })
    this.#checkLane(id, stream)
  }

  #checkLane(id: number, stream: string): void {
    const lane = this.#sent.get(id)?.lane
    if (lane === undefined) return
    const usual = this.#streamOfLane.get(lane)
    check(
      usual === undefined || usual === stream,
      () => `event ${String(id)} of ${lane.tag} went to ${stream}, not to ${String(usual)}`,
    )
    this.#streamOfLane.set(lane, stream)
  }

  /** Each delivered event was sent, is unchanged, comes once, in order. @returns the ids */
  #checkEvents(events: readonly Delivered[]): ReadonlySet<number> {
    const present = new Set<number>()
    let lamport = -1
    for (const event of events) {
      const { id } = event.payload as Body
      const sent = this.#sent.get(id)
      check(sent !== undefined, () => `event ${String(id)} at ${event.stream}/${String(event.offset)} was never sent`)
      check(JSON.stringify(event.payload) === sent.draft.payload, () => `payload of event ${String(id)} changed`)
      check(event.tags.join() === [...sent.draft.tags].sort().join(), () => `tags of event ${String(id)} changed`)
      check(!present.has(id), () => `event ${String(id)} is there twice`)
      check(event.lamport > lamport, () => `lamport ${String(event.lamport)} after ${String(lamport)}`)
      lamport = event.lamport
      present.add(id)
    }
    return present
  }

  /** No holes, nothing missing in front of a permanent stream, no more pruned than allowed. @returns first offsets */
  #checkStreams(events: readonly Delivered[], offsets: Readonly<Record<string, number>>): ReadonlyMap<string, number> {
    const firsts = new Map<string, number>()
    const nexts = new Map<string, number>()
    for (const { stream, offset } of events) {
      const next = nexts.get(stream)
      if (next === undefined) firsts.set(stream, offset)
      else if (offset !== next) throw new HoleError(stream, offset, next - 1)
      nexts.set(stream, offset + 1)
    }
    for (const [lane, stream] of this.#lanesWith(events)) {
      const first = firsts.get(stream) ?? 0
      const next = nexts.get(stream) ?? 0
      check(
        offsets[stream] === next - 1,
        () => `${stream} ends at ${String(next - 1)}, offsets say ${String(offsets[stream])}`,
      )
      const pruned = first > 0
      check(!pruned || lane.keepAtLeast !== undefined, () => `permanent ${stream} begins at ${String(first)}`)
      check(
        !pruned || next - first >= (lane.keepAtLeast ?? 0),
        () => `${stream} was pruned to ${String(next - first)} events`,
      )
      check(first >= (this.#firsts.get(stream) ?? 0), () => `pruned events of ${stream} came back`)
      this.#firsts.set(stream, first)
    }
    return firsts
  }

  /** Lanes with their streams, learnt from receipts and from the events at hand. */
  #lanesWith(events: readonly Delivered[]): ReadonlyMap<Lane, string> {
    const lanes = new Map(this.#streamOfLane)
    for (const event of events) {
      const lane = this.#sent.get((event.payload as Body).id)?.lane
      if (lane !== undefined && !lanes.has(lane)) lanes.set(lane, event.stream)
    }
    return lanes
  }

  #checkKnown(present: ReadonlySet<number>, firsts: ReadonlyMap<string, number>): void {
    for (const [id, { stream, offset }] of this.#known) {
      const first = firsts.get(stream)
      const pruned = this.#sent.get(id)?.lane.keepAtLeast !== undefined && first !== undefined && offset < first
      check(
        present.has(id) || pruned,
        () => `event ${String(id)} at ${stream}/${String(offset)} is lost (it was acknowledged or seen)`,
      )
    }
  }

  /** A publish of unknown outcome is there as a whole or not at all, as far as pruning lets one see. */
  #checkBatches(present: ReadonlySet<number>, firsts: ReadonlyMap<string, number>): void {
    for (const [batch, { events }] of this.#batches) {
      const kept = events.filter((event) => event.lane.keepAtLeast === undefined)
      const there = kept.filter((event) => present.has(event.id)).length
      check(
        there === 0 || there === kept.length,
        () => `batch ${String(batch)} is torn: ${String(there)} of ${String(kept.length)}`,
      )
      const ephemeral = events.filter((event) => event.lane.keepAtLeast !== undefined)
      const unpruned = ephemeral.every(({ lane }) => (firsts.get(this.#streamOfLane.get(lane) ?? '') ?? 0) === 0)
      if (!unpruned || ephemeral.length === 0 || kept.length === 0) continue
      const ephemeralThere = ephemeral.filter((event) => present.has(event.id)).length
      check((ephemeralThere === ephemeral.length) === there > 0, () => `batch ${String(batch)} is torn between streams`)
    }
  }
}
