import { prepareQuery, type AqlLimits, type Endpoint, type Row } from '../../aql/index.js'
import { streamIdOf, type EventOrder, type NodeId, type StoredEvent } from '../../core/index.js'
import { MemoryReader, type MemoryEvent } from './memory-reader.js'

export const TEST_NODE: NodeId = 'test.node'.padEnd(43, '.')
export const TEST_STREAM = streamIdOf(TEST_NODE, 0)
export const NOW_MICROS = Date.UTC(2024, 5, 1) * 1000

/** Features that tests switch on, since most queries need one of them. */
export const ALL_FEATURES = 'FEATURES(aggregate fromArray interpolation multiEmission spread subQuery) '

/** Events of one stream with rising keys, one second apart. */
export function eventsOf(list: readonly (readonly [tags: readonly string[], payload: string])[]): MemoryEvent[] {
  return list.map(([tags, payload], offset) => ({
    lamport: offset + 1,
    stream: TEST_STREAM,
    offset,
    timestamp: NOW_MICROS - (list.length - offset) * 1_000_000,
    tags,
    appId: 'com.example.test',
    payload,
  }))
}

export interface AskOptions {
  readonly order?: EventOrder
  readonly endpoint?: Endpoint
  readonly appId?: string
  readonly limits?: Partial<AqlLimits>
  readonly signal?: AbortSignal
  readonly reader?: MemoryReader
}

export interface Asked {
  readonly rows: Row[]
  readonly complete: boolean
}

export function prepare(query: string, options: AskOptions = {}) {
  return prepareQuery(query, {
    endpoint: options.endpoint ?? 'query',
    appId: options.appId ?? 'com.example.test',
    nowMicros: NOW_MICROS,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  })
}

/** Runs a query to its end. */
export async function ask(
  query: string,
  events: readonly MemoryEvent[] = [],
  options: AskOptions = {},
): Promise<Asked> {
  const reader = options.reader ?? new MemoryReader(events, TEST_NODE)
  const run = prepare(query, options).run({
    reader,
    order: options.order ?? 'asc',
    lowerBound: new Map(),
    upperBound: new Map(reader.events.map((event) => [event.stream, Infinity])),
    nodeId: TEST_NODE,
    signal: options.signal ?? new AbortController().signal,
  })
  const rows: Row[] = []
  for (;;) {
    const next = await run.next()
    if (next.done === true) return { rows, complete: next.value.complete }
    rows.push(...next.value)
  }
}

/** Values as JSON text, diagnostics as `!severity`; `ABORT` when no offsets line follows. */
export async function values(
  query: string,
  events: readonly MemoryEvent[] = [],
  options: AskOptions = {},
): Promise<string[]> {
  const { rows, complete } = await ask(query, events, options)
  return [...rows.map(brief), ...(complete ? [] : ['ABORT'])]
}

/** The value of an expression, or `!` and the message why there is none. */
export async function evaluate(expr: string, input = '0'): Promise<string> {
  const { rows } = await ask(`${ALL_FEATURES}FROM [${input}] SELECT ${expr}`)
  const [row] = rows
  if (row === undefined) return 'nothing'
  return row.kind === 'diagnostic' ? `!${row.message}` : row.payload
}

export function brief(row: Row): string {
  if (row.kind === 'diagnostic') return `!${row.severity}`
  return row.kind === 'antiEvent' ? `-${row.payload}` : row.payload
}

/** Feeds a subscription: the past, `caughtUp`, then each live event, with a mark between. */
export function follow(query: string, past: readonly MemoryEvent[], live: readonly MemoryEvent[]): string[] {
  const subscription = prepare(query, { endpoint: 'subscribe' }).live({ nodeId: TEST_NODE })
  const toEvents = (events: readonly MemoryEvent[]): readonly StoredEvent[] =>
    new MemoryReader(events, TEST_NODE).events
  const out: string[] = []
  for (const event of toEvents(past)) out.push(...subscription.feed(event).map(brief))
  out.push(...subscription.caughtUp().map(brief), '|')
  for (const event of toEvents(live)) {
    if (subscription.done) break
    out.push(...subscription.feed(event).map(brief))
  }
  if (subscription.done) out.push('done')
  return out
}
