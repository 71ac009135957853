import { systemClock, toTagSet, type EventBatch, type EventOrder, type TagSelection } from '../../core/index.js'
import { DataDirectory, openStore, type AppendEvent, type Store, type StoreOptions } from '../../storage/index.js'

export type StoreSettings = Partial<Omit<StoreOptions, 'directory'>>

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined }

/** An open store with small blocks, and how to close it with its directory. */
export interface OpenedStore {
  readonly store: Store
  readonly directory: DataDirectory
  readonly close: () => Promise<void>
}

export async function openTestStore(path: string, settings: StoreSettings = {}): Promise<OpenedStore> {
  const directory = await DataDirectory.open(path)
  try {
    const store = await openStore({
      directory,
      topic: 'test',
      clock: systemClock,
      logger: quiet,
      sync: 'always',
      block: { maxEvents: 16, maxBytes: 4096 },
      pruneIntervalMs: 60_000,
      cacheBytes: 1024 * 1024,
      maxInFlightBytes: 1024 * 1024,
      maxUnsealedBytes: 64 * 1024 * 1024,
      reserveBytes: 64 * 1024,
      ...settings,
    })
    const close = async () => {
      await store.close()
      await directory.close()
    }
    return { store, directory, close }
  } catch (error) {
    await directory.close()
    throw error
  }
}

/** An event as tests write it down. */
export function event(payload: unknown, tags: readonly string[] = ['a'], streamNumber = 0): AppendEvent {
  return { tags: toTagSet(tags), payload: Buffer.from(JSON.stringify(payload)), streamNumber }
}

export function publish(store: Store, events: readonly AppendEvent[], timestamp = 1_000_000) {
  return store.append({ appId: 'com.example.test', timestamp, events })
}

/** Events of batches as plain objects, in delivery order. */
export interface PlainEvent {
  readonly lamport: number
  readonly stream: string
  readonly offset: number
  readonly timestamp: number
  readonly tags: readonly string[]
  readonly appId: string
  readonly payload: unknown
}

export function plainEvents(batch: EventBatch): PlainEvent[] {
  return Buffer.concat([...batch.slices()])
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const { type: _type, ...rest } = JSON.parse(line) as PlainEvent & { type: string }
      return rest
    })
}

export async function readAll(
  store: Store,
  order: EventOrder = 'asc',
  selection: TagSelection = { kind: 'all' },
): Promise<PlainEvent[]> {
  const events: PlainEvent[] = []
  const request = { selection, order, lowerBound: new Map(), upperBound: store.offsets() }
  for await (const batch of store.read(request)) events.push(...plainEvents(batch))
  return events
}

/** Waits until a condition holds, looking again each turn of the event loop; fails after half a minute. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('the awaited condition did not come about')
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}
