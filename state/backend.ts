import type { StateDecision } from '../storage/index.js'

/** What a backend promises. All but `multiKeyTxn` have to be there. */
export interface StateCapabilities {
  readonly atomicCas: boolean
  readonly readYourWrites: boolean
  readonly durableAck: boolean
  readonly monotonicRevision: boolean
  readonly multiKeyTxn: boolean
  readonly ttl: boolean
  readonly fencing: boolean
  /** Whether events are stored in the same commit. */
  readonly sameCommitAppend: boolean
}

/** Which records; the order is that of their bytes. */
export interface RecordRange {
  readonly gte?: Buffer
  readonly gt?: Buffer
  readonly lt?: Buffer
  readonly limit: number
}

/** Records in the order of their keys, and decisions that are made one after the other, each a commit of its own. */
export interface RecordStore {
  /** Another number than before says that revisions beyond those that are held may have been given out. */
  readonly epoch: number
  get(key: Buffer): Promise<Buffer | undefined>
  /** As it is at one moment. */
  page(range: RecordRange): Promise<[Buffer, Buffer][]>
  /** Resolves when it is durable. @throws what the decision throws; then nothing has changed */
  commit(decision: StateDecision): Promise<void>
  /** As {@link page}, but what is damaged comes without its content. Where nothing can be damaged there is none. */
  survey?(range: RecordRange): Promise<[Buffer, Buffer | undefined][]>
  /** Nothing that is damaged is left. */
  mended?(): void
  /** Gives back the room of what was deleted. */
  compact?(): Promise<void>
}

/** Where the state is kept. */
export interface StateBackend {
  readonly name: string
  readonly capabilities: StateCapabilities
  readonly records: RecordStore
}

const EVERYTHING: StateCapabilities = {
  atomicCas: true,
  readYourWrites: true,
  durableAck: true,
  monotonicRevision: true,
  multiKeyTxn: true,
  ttl: true,
  fencing: true,
  sameCommitAppend: true,
}

/** The node's own store: events and state change in the same commits. */
export function embeddedBackend(records: RecordStore): StateBackend {
  return { name: 'embedded', capabilities: EVERYTHING, records }
}

/** Records in memory, gone at exit; decisions still take their turn among the commits of the store. */
export function memoryBackend(store: RecordStore): StateBackend {
  return {
    name: 'memory',
    capabilities: { ...EVERYTHING, durableAck: false },
    records: new MemoryRecords(store),
  }
}

class MemoryRecords implements RecordStore {
  readonly epoch = 0
  readonly #store: RecordStore
  readonly #records = new Map<string, Buffer>()
  /** What the decisions of a commit under way have changed; `undefined` is a deletion. */
  readonly #drafts = new WeakMap<object, Map<string, Buffer | undefined>>()
  #sorted: string[] | undefined

  constructor(store: RecordStore) {
    this.#store = store
  }

  get(key: Buffer): Promise<Buffer | undefined> {
    return Promise.resolve(this.#records.get(nameOf(key)))
  }

  page({ gte, gt, lt, limit }: RecordRange): Promise<[Buffer, Buffer][]> {
    // Each character is a byte, so their order is that of the bytes.
    const names = (this.#sorted ??= [...this.#records.keys()].sort())
    const isAtLeast =
      gt === undefined ? (name: string) => name >= nameOf(gte ?? NONE) : (name: string) => name > nameOf(gt)
    const first = firstAt(names, isAtLeast)
    const end = lt === undefined ? names.length : firstAt(names, (name) => name >= nameOf(lt))
    const page = names.slice(first, Math.min(end, first + limit))
    return Promise.resolve(page.map((name) => [Buffer.from(name, 'latin1'), this.#records.get(name) ?? NONE]))
  }

  commit(decision: StateDecision): Promise<void> {
    let mine = new Map<string, Buffer | undefined>()
    return this.#store.commit({
      keys: [],
      appends: decision.appends,
      bytes: decision.bytes,
      decide: (view) => {
        let draft = this.#drafts.get(view.group)
        if (draft === undefined) this.#drafts.set(view.group, (draft = new Map<string, Buffer | undefined>()))
        const before = draft
        mine = new Map()
        decision.decide({
          group: view.group,
          get: (key) => {
            const name = nameOf(key)
            if (mine.has(name)) return mine.get(name)
            return before.has(name) ? before.get(name) : this.#records.get(name)
          },
          put: (key, content) => mine.set(nameOf(key), content),
          delete: (key) => mine.set(nameOf(key), undefined),
          lastOffset: (streamNumber) => view.lastOffset(streamNumber),
          append: (request) => view.append(request),
        })
        for (const [name, content] of mine) before.set(name, content)
      },
      committed: () => {
        for (const [name, content] of mine) {
          if (content === undefined) this.#records.delete(name)
          else this.#records.set(name, content)
        }
        if (mine.size > 0) this.#sorted = undefined
        decision.committed()
      },
    })
  }
}

const NONE = Buffer.alloc(0)

function nameOf(key: Buffer): string {
  return key.toString('latin1')
}

/** Index of the first of some sorted names that fulfils what all behind it fulfil too. */
function firstAt(names: readonly string[], isThere: (name: string) => boolean): number {
  let low = 0
  let high = names.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (isThere(names[middle] ?? '')) high = middle
    else low = middle + 1
  }
  return low
}
