import { setImmediate as nextTurn } from 'node:timers/promises'

export interface CommitQueueOptions<Job, Result> {
  /** Makes a group durable: one result per job, or an error for all of them. */
  readonly commit: (jobs: readonly Job[]) => Promise<readonly Result[]>
  /** Waited for before each group: lets slower work catch up. */
  readonly ready: () => Promise<void>
  /** Size of a group, bytes; a single bigger job is a group of its own. */
  readonly maxGroupBytes: number
}

interface Entry<Job, Result> {
  readonly job: Job
  readonly bytes: number
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

/**
 * Group commit: while one group is being written, everything that arrives is collected and goes out as the next group.
 * First in, first out. Of what waits, the queue holds only what its callers hold anyway.
 */
export class CommitQueue<Job, Result> {
  readonly #options: CommitQueueOptions<Job, Result>
  #waiting: Entry<Job, Result>[] = []
  #running: Promise<void> | undefined

  constructor(options: CommitQueueOptions<Job, Result>) {
    this.#options = options
  }

  /** Jobs that wait for their group, without those in the group under way. */
  get length(): number {
    return this.#waiting.length
  }

  add(job: Job, bytes: number): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, bytes, resolve, reject })
      this.#running ??= this.#run()
    })
  }

  /** Resolves when everything that was added has been answered. */
  async drained(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  async #run(): Promise<void> {
    // All requests that arrived in this turn of the event loop belong into the first group.
    await nextTurn()
    while (this.#waiting.length > 0) {
      await this.#options.ready()
      await this.#commit(this.#takeGroup())
    }
    this.#running = undefined
  }

  #takeGroup(): readonly Entry<Job, Result>[] {
    let bytes = 0
    let count = 0
    for (const entry of this.#waiting) {
      bytes += entry.bytes
      if (count > 0 && bytes > this.#options.maxGroupBytes) break
      count++
    }
    return this.#waiting.splice(0, count)
  }

  async #commit(group: readonly Entry<Job, Result>[]): Promise<void> {
    try {
      const results = await this.#options.commit(group.map(({ job }) => job))
      group.forEach((entry, at) => {
        entry.resolve(results[at] as Result)
      })
    } catch (error) {
      for (const entry of group) entry.reject(error)
    }
  }
}
