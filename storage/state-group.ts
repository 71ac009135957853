import type { Publication } from '../core/index.js'
import type { Database, WriteStep } from './database.js'
import type { AppendRequest } from './event-store.js'
import { contentOf, storedKey, storedValue, type StateJob, type StateView } from './state-space.js'
import type { StreamTable } from './stream-table.js'

/** A job of a group in which something is decided. */
export type DecidedJob = AppendRequest | StateJob

/** What a group with decisions comes to. */
export interface DecidedGroup {
  /** What is appended, in order. */
  readonly requests: readonly AppendRequest[]
  readonly steps: readonly WriteStep[]
}

/** Values of records as stored, by their keys as text. */
type Stored = ReadonlyMap<string, Buffer | undefined>

/** Reads what the decisions of a group will look at. */
export async function readRecords(meta: Database, jobs: readonly DecidedJob[]): Promise<Stored> {
  const keys = new Map<string, Buffer>()
  for (const job of jobs) {
    if (!('kind' in job)) continue
    for (const key of job.decision.keys) keys.set(nameOf(key), key)
  }
  const wanted = [...keys.values()].map(storedKey).sort((a, b) => Buffer.compare(a, b))
  const values = await meta.getMany(wanted)
  return new Map(wanted.map((key, at) => [nameOf(key.subarray(1)), values[at]]))
}

/**
 * Decides about the jobs of a group, in their order; each sees what those before it do. Says what offsets and lamports
 * their events get, so the group must be stamped before anything else happens.
 */
export function decideGroup(jobs: readonly DecidedJob[], stored: Stored, streams: StreamTable): DecidedGroup {
  const group = new StateGroup(stored, streams)
  for (const job of jobs) {
    if ('kind' in job) group.decide(job)
    else group.append(job)
  }
  return { requests: group.requests, steps: group.steps() }
}

/** Streams and lamports as they are when what was decided so far is taken as done. */
class StateGroup {
  readonly requests: AppendRequest[] = []
  readonly #stored: Stored
  readonly #streams: StreamTable
  readonly #written = new Map<string, Written>()
  readonly #appended = new Map<number, number>()
  #lamport: number

  constructor(stored: Stored, streams: StreamTable) {
    this.#stored = stored
    this.#streams = streams
    this.#lamport = streams.nextLamport
  }

  decide(job: StateJob): void {
    const view = new JobView(this)
    try {
      job.decision.decide(view)
      for (const written of view.written.values()) this.#written.set(nameOf(written.key), written)
      for (const request of view.requests) this.append(request)
    } catch (error) {
      job.refusal = { error }
    }
  }

  append(request: AppendRequest): void {
    for (const { streamNumber } of request.events) {
      this.#appended.set(streamNumber, (this.#appended.get(streamNumber) ?? 0) + 1)
    }
    this.#lamport += request.events.length
    this.requests.push(request)
  }

  get(key: Buffer): Buffer | undefined {
    const name = nameOf(key)
    const written = this.#written.get(name)
    if (written !== undefined) return written.content
    if (!this.#stored.has(name)) throw new TypeError(`the record ${JSON.stringify(name)} was not announced`)
    const value = this.#stored.get(name)
    return value === undefined ? undefined : contentOf(storedKey(key), value)
  }

  nextOffset(streamNumber: number): number {
    return this.#streams.own(streamNumber).nextOffset + (this.#appended.get(streamNumber) ?? 0)
  }

  streamOf(streamNumber: number): string {
    return this.#streams.own(streamNumber).stream
  }

  get nextLamport(): number {
    return this.#lamport
  }

  steps(): WriteStep[] {
    return [...this.#written.values()].map(({ key, content }) => {
      const stored = storedKey(key)
      return content === undefined
        ? { type: 'del', key: stored }
        : { type: 'put', key: stored, value: storedValue(stored, content) }
    })
  }
}

interface Written {
  readonly key: Buffer
  /** `undefined` when it was deleted. */
  readonly content: Buffer | undefined
}

/** What one decision sees; what it does counts for the group only when it ends well. */
class JobView implements StateView {
  readonly written = new Map<string, Written>()
  readonly requests: AppendRequest[] = []
  readonly #group: StateGroup
  readonly #appended = new Map<number, number>()
  #events = 0

  constructor(group: StateGroup) {
    this.#group = group
  }

  get group(): object {
    return this.#group
  }

  get(key: Buffer): Buffer | undefined {
    const written = this.written.get(nameOf(key))
    return written === undefined ? this.#group.get(key) : written.content
  }

  put(key: Buffer, content: Buffer): void {
    this.written.set(nameOf(key), { key, content })
  }

  delete(key: Buffer): void {
    this.written.set(nameOf(key), { key, content: undefined })
  }

  lastOffset(streamNumber: number): number {
    return this.#group.nextOffset(streamNumber) + (this.#appended.get(streamNumber) ?? 0) - 1
  }

  append(request: AppendRequest): readonly Publication[] {
    const { timestamp } = request
    this.requests.push(request)
    return request.events.map(({ streamNumber }) => {
      const offset = this.lastOffset(streamNumber) + 1
      this.#appended.set(streamNumber, (this.#appended.get(streamNumber) ?? 0) + 1)
      const lamport = this.#group.nextLamport + this.#events++
      return { lamport, stream: this.#group.streamOf(streamNumber), offset, timestamp }
    })
  }
}

function nameOf(key: Buffer): string {
  return key.toString('latin1')
}
