import {
  MillraceError,
  type ErrorCode,
  type JsonScanner,
  type NewEvent,
  type OffsetMap,
  type Publication,
} from '../../../core/index.js'
import type {
  Answer,
  EventService,
  MonotonicRequest,
  QueryRequest,
  RequestContext,
  SubscribeRequest,
} from '../../../node/events/event-service.js'
import type { RunningAnswer } from '../../../node/events/running.js'
import { PublishBodyReader } from '../../../node/events/publish-body.js'

class FakeError extends MillraceError {
  readonly code: ErrorCode
  constructor(code: ErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/**
 * An event service in memory for tests of the API. Queries are `FROM 'tag'` or `FROM allEvents`; others have special
 * meanings, see {@link MemoryEvents.query}.
 */
export class MemoryEvents implements EventService {
  readonly stream: string
  readonly lines: { readonly tags: readonly string[]; readonly line: string }[] = []
  /** Payload texts in the order of the calls. */
  readonly published: string[] = []
  readonly #bodies = new PublishBodyReader()
  /** Answers begun and not yet ended. */
  open = 0
  /** What is said to be under way. */
  answers: readonly RunningAnswer[] = []
  /** Set to hold publishes back until it resolves. */
  gate: Promise<void> | undefined
  readonly #wake = new Set<() => void>()

  constructor(nodeId: string) {
    this.stream = `${nodeId}-0`
  }

  offsets(): { readonly present: OffsetMap; readonly toReplicate: ReadonlyMap<string, number> } {
    const present = new Map<string, number>()
    if (this.lines.length > 0) present.set(this.stream, this.lines.length - 1)
    return { present, toReplicate: new Map() }
  }

  async publish(body: Uint8Array, appId: string): Promise<string> {
    return this.publishEvents(this.#bodies.read(body), appId)
  }

  readEvents(scanner: JsonScanner): readonly NewEvent[] {
    return this.#bodies.readFrom(scanner)
  }

  readEvent(scanner: JsonScanner): NewEvent {
    return this.#bodies.readEvent(scanner)
  }

  async store(events: readonly NewEvent[], appId: string): Promise<readonly Publication[]> {
    return (JSON.parse(await this.publishEvents(events, appId)) as { data: Publication[] }).data
  }

  async publishEvents(newEvents: readonly NewEvent[], appId: string): Promise<string> {
    const events = newEvents.map(({ tags, payload }) => ({ tags, payload: Buffer.from(payload).toString() }))
    const texts = events.map(({ tags, payload }) => `{"tags":${JSON.stringify(tags)},"payload":${payload}}`)
    this.published.push(`{"data":[${texts.join(',')}]}`)
    if (this.gate !== undefined) await this.gate
    const timestamp = Date.now() * 1000
    const replies = events.map(({ tags, payload }) => {
      const offset = this.lines.length
      const place = { lamport: offset + 1, stream: this.stream, offset, timestamp }
      const head = JSON.stringify({ type: 'event', ...place, tags, appId }).slice(0, -1)
      this.lines.push({ tags, line: `${head},"payload":${payload}}\n` })
      return JSON.stringify(place)
    })
    for (const wake of this.#wake) wake()
    return `{"data":[${replies.join(',')}]}`
  }

  /** `endless N` sends N-byte lines for ever, `burst N` N lines in one chunk, `explode` fails in its middle. */
  query(request: QueryRequest, context: RequestContext): Promise<Answer> {
    const [word, size] = request.query.split(' ')
    if (word === 'endless') return Promise.resolve(this.#counted(endless(Number(size), context.signal)))
    if (word === 'burst') return Promise.resolve(this.#counted(burst(Number(size))))
    if (word === 'explode') return Promise.resolve(this.#counted(explode()))
    if (word === 'crash') return Promise.reject(new TypeError('a defect'))
    return this.#attempt(request.query, (tag) => this.#history(tag, request))
  }

  subscribe(request: SubscribeRequest, context: RequestContext): Promise<Answer> {
    return this.#attempt(request.query, (tag) => this.#live(tag, context.signal))
  }

  subscribeMonotonic(request: MonotonicRequest, context: RequestContext): Promise<Answer> {
    const beyond = [...request.lowerBound.values()].some((offset) => offset >= this.lines.length)
    if (beyond) {
      const text = 'Query bounds out of range: upper bound must be within the known present.'
      return Promise.reject(new FakeError('ERR_BOUNDS_OUT_OF_RANGE', text))
    }
    return this.#attempt(request.query, (tag) => this.#live(tag, context.signal, true))
  }

  running(): readonly RunningAnswer[] {
    return this.answers
  }

  end(id: string): void {
    this.answers = this.answers.filter((answer) => answer.id !== id)
  }

  #attempt(text: string, run: (tag: string | undefined) => AsyncGenerator<Uint8Array>): Promise<Answer> {
    const match = /^FROM (?:allEvents|'([^']*)')/.exec(text)
    if (match === null)
      return Promise.reject(new FakeError('ERR_AQL_SYNTAX', ' --> 1:6\n  = expected array or tag_expr'))
    if (text.includes('AGGREGATE')) {
      return Promise.reject(new FakeError('ERR_AQL_FEATURE_UNSUPPORTED', 'Feature `aggregate` is not supported.'))
    }
    return Promise.resolve(this.#counted(run(match[1])))
  }

  async *#history(tag: string | undefined, request: QueryRequest): AsyncGenerator<Uint8Array> {
    await Promise.resolve()
    const lower = request.lowerBound?.get(this.stream) ?? -1
    const upper = request.upperBound?.get(this.stream) ?? (request.upperBound === undefined ? Infinity : -1)
    const offsets = request.upperBound ?? this.offsets().present
    if (Number.isFinite(upper) && upper >= this.lines.length) {
      const message = 'Query bounds out of range: upper bound must be within the known present.'
      yield Buffer.from(`${JSON.stringify({ type: 'diagnostic', severity: 'error', message })}\n`)
      return
    }
    const found = this.lines.filter(
      ({ tags }, at) => at > lower && at <= upper && (tag === undefined || tags.includes(tag)),
    )
    if (request.order === 'desc') found.reverse()
    for (const { line } of found) yield Buffer.from(line)
    yield Buffer.from(`${JSON.stringify({ type: 'offsets', offsets: Object.fromEntries(offsets) })}\n`)
  }

  async *#live(tag: string | undefined, signal: AbortSignal, monotonic = false): AsyncGenerator<Uint8Array> {
    let at = 0
    let told = false
    while (!signal.aborted) {
      const lines = this.lines.slice(at).filter(({ tags }) => tag === undefined || tags.includes(tag))
      at = this.lines.length
      const caughtUp = monotonic ? `,"caughtUp":${String(told)},"payload":` : ',"payload":'
      const text = lines.map(({ line }) => line.replace(',"payload":', caughtUp)).join('')
      const offsets = told
        ? ''
        : `${JSON.stringify({ type: 'offsets', offsets: Object.fromEntries(this.offsets().present) })}\n`
      told = true
      if (text + offsets !== '') yield Buffer.from(text + offsets)
      if (hasEnded(signal)) return
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#wake.delete(wake)
          resolve()
        }
        this.#wake.add(wake)
        signal.addEventListener('abort', wake)
      })
    }
  }

  async *#counted(lines: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
    this.open += 1
    try {
      yield* lines
    } finally {
      this.open -= 1
    }
  }
}

/** Asks the signal anew: it may have come during the last `yield`. */
function hasEnded(signal: AbortSignal): boolean {
  return signal.aborted
}

async function* endless(size: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const line = Buffer.from(`{"type":"x","pad":"${'.'.repeat(size)}"}\n`)
  while (!signal.aborted) {
    yield line
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function* burst(count: number): AsyncGenerator<Uint8Array> {
  await Promise.resolve()
  yield Buffer.from(Array.from({ length: count }, (_, n) => `{"n":${String(n)}}\n`).join(''))
}

async function* explode(): AsyncGenerator<Uint8Array> {
  await Promise.resolve()
  yield Buffer.from('{"n":1}\n')
  throw new FakeError('ERR_STORE_IO', 'the disk is gone')
}
