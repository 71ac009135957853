import type { Kind, Kinds, Operation } from './kinds.js'

/** What is known of an operation that threw. */
export type Ending = 'fail' | 'unknown'

export interface RecorderOptions {
  /**
   * `fail` only for errors that prove that nothing was done and never will be. By default nothing is proven: taking what was
   * done for failed makes a good history bad, while the reverse only lets more pass.
   */
  readonly endingOf?: (error: unknown) => Ending
  /** Nanoseconds on a monotonic clock. The default is the same for all processes of a machine. */
  readonly clock?: () => bigint
}

/** What one client does, one operation after the other. */
export interface RecordingClient {
  readonly number: number
  /**
   * Does `work`, which asks the object, and puts down what came of it. Never throws for `work`: clients go on when the node
   * was killed.
   *
   * @throws Error when the client's last operation is still under way: give that one up by `abandon()` first
   */
  perform<K extends Kind>(
    kind: K,
    key: string,
    input: Kinds[K]['input'],
    work: () => Promise<Kinds[K]['output']>,
  ): Promise<Operation<K>>
  /** Waits no longer for the operation under way: it is one without answer, whatever comes of it later. */
  abandon(): void
}

export interface HistoryRecorder {
  client(): RecordingClient
  /** All operations so far in the order in which they were sent. What is under way is there as one without answer. */
  history(): Operation[]
}

/** A call as it is before anything is known of its end. */
interface Entry {
  operation: Operation
  /** Nothing more is put down of it. */
  settled: boolean
}

/**
 * Puts down what concurrent clients do to objects, for {@link checkHistory}. An operation is in the history from the moment
 * at which it is sent, so one that a stopped or killed node never answers is there too.
 *
 * A request that is sent again under the same request id is one operation: `work` does the retries.
 */
export function recordHistory(options: RecorderOptions = {}): HistoryRecorder {
  const { endingOf = () => 'unknown' as const, clock = () => process.hrtime.bigint() } = options
  const entries: Entry[] = []
  let clients = 0

  const endOf = async (
    work: () => Promise<unknown>,
  ): Promise<{ outcome: 'ok'; output: unknown } | { outcome: Ending }> => {
    try {
      return { outcome: 'ok', output: await work() }
    } catch (error) {
      return { outcome: endingOf(error) }
    }
  }

  const client = (): RecordingClient => {
    const number = clients++
    let current: Entry | undefined

    const perform: RecordingClient['perform'] = async (kind, key, input, work) => {
      if (current?.settled === false) {
        throw new Error(`client ${number} is still waiting for ${JSON.stringify(current.operation.input)}`)
      }
      // Rounded outwards: a call that seems longer than it was forbids less.
      const invoked = Number(clock() / 1000n)
      const call = { client: number, kind, key, input, invoked }
      const entry: Entry = { operation: { ...call, outcome: 'unknown' } as Operation, settled: false }
      current = entry
      entries.push(entry)
      const ending = await endOf(work)
      if (!entry.settled && ending.outcome !== 'unknown') {
        entry.operation = { ...call, ...ending, returned: Number(clock() / 1000n) + 1 } as Operation
      }
      entry.settled = true
      return entry.operation as Operation<typeof kind>
    }

    const abandon = (): void => {
      if (current !== undefined) current.settled = true
    }
    return { number, perform, abandon }
  }

  return { client, history: () => entries.map(({ operation }) => operation) }
}
