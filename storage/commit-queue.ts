export interface CommitQueueOptions<Job, Group, Result> {
  /**
   * Makes a group durable, or rejects for all of its jobs. It is called again when the promise of its last call has
   * settled, so it may rest on what was durable then.
   */
  readonly commit: (jobs: readonly Job[]) => Promise<Group>
  /** What follows from a group that is durable: one result per job. What it throws goes to all of them. */
  readonly settle: (group: Group) => readonly Result[]
  /** Waited for before each group: lets slower work catch up. `undefined` when there is nothing to wait for. */
  readonly ready: () => Promise<void> | undefined
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
 * Group commit: while one group is being written, everything that arrives is collected and goes out as the next group,
 * whose write begins before the first one is answered: the disk need not wait for the answers. First in, first out. Of
 * what waits, the queue holds only what its callers hold anyway.
 */
export class CommitQueue<Job, Group, Result> {
  readonly #options: CommitQueueOptions<Job, Group, Result>
  #waiting: Entry<Job, Result>[] = []
  #running = false
  #idle: (() => void)[] = []

  constructor(options: CommitQueueOptions<Job, Group, Result>) {
    this.#options = options
  }

  /** Jobs that wait for their group, without those in the group under way. */
  get length(): number {
    return this.#waiting.length
  }

  /** @param isAlone what it came with came before it, so nothing is gained by waiting for more */
  add(job: Job, bytes: number, isAlone = false): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, bytes, resolve, reject })
      if (this.#running) return
      this.#running = true
      // All requests that arrived in this turn of the event loop belong into the first group.
      if (isAlone) queueMicrotask(this.#start)
      else setImmediate(this.#start)
    })
  }

  /** Resolves when everything that was added has been answered. */
  async drained(): Promise<void> {
    while (this.#running) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  readonly #start = (): void => {
    void this.#run()
  }

  async #run(): Promise<void> {
    let answer = nobody
    for (;;) {
      const ready = this.#waiting.length > 0 ? this.#options.ready() : undefined
      if (this.#waiting.length === 0 || ready !== undefined) {
        answer()
        answer = nobody
        if (ready === undefined) break
        await ready
      }
      const group = this.#takeGroup()
      const committing = this.#options.commit(group.map(({ job }) => job))
      answer()
      answer = await this.#outcome(group, committing)
    }
    this.#running = false
    for (const resolve of this.#idle.splice(0)) resolve()
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

  /** Waits for the group and returns what tells those who wait for it. */
  async #outcome(group: readonly Entry<Job, Result>[], committing: Promise<Group>): Promise<() => void> {
    try {
      const durable = await committing
      return () => {
        this.#settle(group, durable)
      }
    } catch (error) {
      return () => {
        rejectAll(group, error)
      }
    }
  }

  #settle(group: readonly Entry<Job, Result>[], durable: Group): void {
    try {
      const results = this.#options.settle(durable)
      group.forEach((entry, at) => {
        entry.resolve(results[at] as Result)
      })
    } catch (error) {
      rejectAll(group, error)
    }
  }
}

function rejectAll<Job, Result>(group: readonly Entry<Job, Result>[], error: unknown): void {
  for (const entry of group) entry.reject(error)
}

function nobody(): void {
  // Nobody waits for an answer.
}
