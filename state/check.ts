import type { RecordRange, RecordStore } from './backend.js'
import {
  appOfRequestCount,
  deadlineKey,
  HEAD_KEY,
  nameOfEntry,
  parseRequestName,
  parseRequestOrder,
  RECORD,
  recordOfDeadline,
  requestCountKey,
  requestKey,
  requestOrderKey,
  requestsOf,
} from './record-keys.js'
import { decodeHead, decodeStored, sizeOfEntry, type Stored } from './records.js'
import { countOf } from './request-memory.js'

/** Something that is not as it has to be. */
export interface StateFault {
  /** Key of the record. */
  readonly record: Buffer
  /** What people call it. */
  readonly name: string
  readonly problem: string
  /** `damaged`: what it held is lost; `index`: nothing is lost, but it leads nowhere or lacks; `count`: of the state as a whole. */
  readonly kind: 'damaged' | 'index' | 'count'
}

/** What a check came to. */
export interface StateCheck {
  readonly records: number
  readonly entries: number
  /** Bytes that count, of the records that are whole. */
  readonly bytes: number
  /** Greatest revision that a record names. */
  readonly greatestVersion: number
  /** Greatest number of a run that a record names. */
  readonly greatestRun: number
  /** Whether nothing was written meanwhile, so that the sums could be compared. */
  readonly isStill: boolean
  readonly faults: readonly StateFault[]
}

/** Records that are read at once. */
const PAGE = 256

/** Faults that are told; a state with more is not to be saved one by one. */
const MOST_FAULTS = 1000

/** How often something is looked at before it counts as a fault: it may be written just then. */
const LOOKS = 3

/** Records that index or count others, and do not count themselves. */
const UNCOUNTED: ReadonlySet<number> = new Set([
  RECORD.head,
  RECORD.deadline,
  RECORD.request,
  RECORD.requestOrder,
  RECORD.requestCount,
])

/** Behind these records come those that a backend keeps for itself. */
const OWN_OF_BACKEND = 0x70

/**
 * Looks at every record: its checksum, its form, that its version was given out, and that the indexes lead where they should;
 * then at the sums. Changes nothing, and may run beside all else.
 */
export async function checkRecords(records: RecordStore, signal: AbortSignal): Promise<StateCheck> {
  const check = new Check(records)
  return check.run(signal)
}

class Check {
  readonly #records: RecordStore
  readonly #faults: StateFault[] = []
  #count = 0
  #entries = 0
  #bytes = 0
  #greatestVersion = 0
  #greatestRun = 0
  /** As it was when it was looked at last. */
  #revision = 0
  /** Apps whose answers are in the index. */
  readonly #apps = new Set<string>()

  constructor(records: RecordStore) {
    this.#records = records
  }

  async run(signal: AbortSignal): Promise<StateCheck> {
    const before = await this.#get(HEAD_KEY)
    let from: { readonly gte: Buffer } | { readonly gt: Buffer } = { gte: Buffer.alloc(0) }
    for (let isMore = true; isMore && this.#faults.length < MOST_FAULTS;) {
      signal.throwIfAborted()
      const page = await this.#page({ ...from, lt: Buffer.of(OWN_OF_BACKEND), limit: PAGE })
      for (const [record, content] of page) await this.#look(record, content)
      const last = page.at(-1)
      isMore = last !== undefined && page.length === PAGE
      if (last !== undefined) from = { gt: last[0] }
    }
    for (const app of this.#apps) {
      const record = requestCountKey(app)
      const isMissing =
        (await this.#get(record)) === undefined && (await countAnswers(record, (range) => this.#page(range))) > 0
      if (isMissing && !this.#isNamed(record)) this.#fault(record, 'count', 'it is missing')
    }
    const after = await this.#get(HEAD_KEY)
    const isStill = before !== undefined && after?.equals(before) === true
    if (isStill) this.#compareSums(before)
    return {
      records: this.#count,
      entries: this.#entries,
      bytes: this.#bytes,
      greatestVersion: this.#greatestVersion,
      greatestRun: this.#greatestRun,
      isStill,
      faults: this.#faults,
    }
  }

  #page(range: RecordRange): Promise<[Buffer, Buffer | undefined][]> {
    return this.#records.survey?.(range) ?? this.#records.page(range)
  }

  /** `undefined` also for what is damaged, which is told when its turn comes. */
  async #get(record: Buffer): Promise<Buffer | undefined> {
    const [found] = await this.#page({ gte: record, limit: 1 })
    return found?.[0].equals(record) === true ? found[1] : undefined
  }

  async #look(record: Buffer, content: Buffer | undefined): Promise<void> {
    this.#count++
    if (content === undefined) {
      this.#fault(record, 'damaged', 'its checksum is wrong')
      return
    }
    let found: Buffer | undefined = content
    let problem = await this.#problemOf(record, content)
    for (let looks = 1; problem !== undefined && looks < LOOKS; looks++) {
      found = await this.#get(record)
      problem = found === undefined ? undefined : await this.#problemOf(record, found)
    }
    if (problem !== undefined) this.#fault(record, problem.kind, problem.text)
    if (found === undefined || problem?.kind === 'damaged' || UNCOUNTED.has(record[0] ?? 0)) return
    const stored = decodeStored(found)
    this.#bytes += sizeOfEntry(record, stored)
    this.#greatestVersion = Math.max(this.#greatestVersion, stored.version)
    this.#greatestRun = Math.max(this.#greatestRun, stored.lifetime?.run ?? 0)
    if (record[0] === RECORD.entry) this.#entries++
  }

  async #problemOf(record: Buffer, content: Buffer): Promise<Problem | undefined> {
    switch (record[0]) {
      case RECORD.head:
        return decodeHead(content).revision >= 0 ? undefined : damaged('it names no revision')
      case RECORD.deadline:
        return this.#deadlineProblem(record)
      case RECORD.requestOrder:
        return this.#orderProblem(record)
      case RECORD.requestCount:
        return this.#requestCountProblem(record, content)
      default:
        return this.#storedProblem(record, content)
    }
  }

  /** An entry, or what else has a value and maybe an end. */
  async #storedProblem(record: Buffer, content: Buffer): Promise<Problem | undefined> {
    const stored = decoded(content)
    if (stored === undefined) return damaged('it has no form that is known')
    const { version, lifetime } = stored
    if (version > this.#revision) this.#revision = decodeHead(await this.#get(HEAD_KEY)).revision
    if (version > this.#revision) return { kind: 'count', text: `version ${String(version)} was never given out` }
    if (lifetime === undefined) return undefined
    const index =
      record[0] === RECORD.request
        ? orderOf(record, lifetime.runDeadlineMs)
        : deadlineKey(lifetime.runDeadlineMs, record)
    const isIndexed = (await this.#get(index)) !== undefined
    return isIndexed ? undefined : { kind: 'index', text: 'it is not in the index of what expires' }
  }

  async #deadlineProblem(index: Buffer): Promise<Problem | undefined> {
    const record = recordOfDeadline(index)
    const stored = decoded(await this.#get(record))
    const isMeant = stored?.lifetime !== undefined && deadlineKey(stored.lifetime.runDeadlineMs, record).equals(index)
    return isMeant ? undefined : LEADS_NOWHERE
  }

  async #orderProblem(index: Buffer): Promise<Problem | undefined> {
    const app = index.toString('utf8', 1, index.indexOf(0))
    this.#apps.add(app)
    const { id, deadlineMs } = parseRequestOrder(index, app)
    const stored = decoded(await this.#get(requestKey(app, id)))
    return stored?.lifetime?.runDeadlineMs === deadlineMs ? undefined : LEADS_NOWHERE
  }

  async #requestCountProblem(record: Buffer, content: Buffer): Promise<Problem | undefined> {
    const count = await countAnswers(record, (range) => this.#page(range))
    const now = countOf(await this.#get(record))
    // Counted anew when it was changed meanwhile.
    if (now !== countOf(content) || now === count) return undefined
    return { kind: 'count', text: `it says ${String(now)} answers, and there are ${String(count)}` }
  }

  #compareSums(content: Buffer): void {
    const { entries, bytes } = decodeHead(content)
    if (this.#faults.some(({ kind }) => kind === 'damaged') || this.#faults.length >= MOST_FAULTS) return
    if (entries !== this.#entries) {
      this.#fault(HEAD_KEY, 'count', `it says ${String(entries)} entries, and there are ${String(this.#entries)}`)
    }
    if (bytes !== this.#bytes) {
      this.#fault(HEAD_KEY, 'count', `it says ${String(bytes)} bytes, and there are ${String(this.#bytes)}`)
    }
  }

  #isNamed(record: Buffer): boolean {
    return this.#faults.some((fault) => fault.record.equals(record))
  }

  #fault(record: Buffer, kind: StateFault['kind'], problem: string): void {
    this.#faults.push({ record, name: nameOf(record), kind, problem })
  }
}

/** How many answers of an app are in the index. @param record that says how many */
export async function countAnswers(
  record: Buffer,
  read: (range: RecordRange) => Promise<readonly [Buffer, unknown][]>,
): Promise<number> {
  const { gte, lt } = requestsOf(appOfRequestCount(record))
  let count = 0
  for (let from: { gte: Buffer } | { gt: Buffer } = { gte }; ;) {
    const page = await read({ ...from, lt, limit: PAGE })
    count += page.length
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) return count
    from = { gt: last[0] }
  }
}

interface Problem {
  readonly kind: StateFault['kind']
  readonly text: string
}

const LEADS_NOWHERE: Problem = { kind: 'index', text: 'it leads to nothing' }

function damaged(text: string): Problem {
  return { kind: 'damaged', text }
}

/** `undefined` for what cannot be read. */
function decoded(content: Buffer | undefined): Stored | undefined {
  if (content === undefined) return undefined
  try {
    const stored = decodeStored(content)
    JSON.parse(stored.text)
    return stored
  } catch {
    return undefined
  }
}

/** Where the index has the answer to a request. */
function orderOf(record: Buffer, deadlineMs: number): Buffer {
  const { app, id } = parseRequestName(record)
  return requestOrderKey(app, deadlineMs, id)
}

const NAMES: Readonly<Record<number, string>> = {
  [RECORD.head]: 'the state as a whole',
  [RECORD.entry]: 'entry',
  [RECORD.deadline]: 'index of what expires,',
  [RECORD.request]: 'answer to the request',
  [RECORD.requestOrder]: 'index of the answers of',
  [RECORD.requestCount]: 'count of the answers of',
  [RECORD.appended]: 'idempotency key',
  [RECORD.lock]: 'lock',
  [RECORD.dedup]: 'claim of',
  [RECORD.limit]: 'limit',
}

function nameOf(record: Buffer): string {
  const kind = record[0] ?? 0
  const name = kind === RECORD.deadline ? nameOf(recordOfDeadline(record)) : nameOfEntry(record)
  if (kind === RECORD.head) return NAMES[kind] ?? ''
  const shown = kind === RECORD.requestOrder ? name.slice(0, name.indexOf('\0')) : name.replaceAll('\0', ' ')
  return `${NAMES[kind] ?? `record of kind ${String(kind)}`} ${shown}`
}
