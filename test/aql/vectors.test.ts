import { readFileSync } from 'node:fs'
import t from 'tap'
import { AqlUnsupportedFeatureError, prepareQuery, type Endpoint, type Row } from '../../aql/index.js'
import { MillraceError, streamIdOf, type EventOrder } from '../../core/index.js'
import { MemoryReader, type MemoryEvent } from '../support/memory-reader.js'
import { NOW_MICROS, TEST_NODE, TEST_STREAM } from '../support/aql-ask.js'
import { sameJson } from '../support/same-json.js'

interface WantedRow {
  readonly value?: string
  readonly meta?: string
  readonly diagnostic?: string
}

interface Expected {
  readonly status: number
  readonly rows?: readonly WantedRow[]
  readonly complete?: boolean
}

interface VectorCase {
  readonly id: string
  readonly query: string
  readonly order?: EventOrder
  readonly endpoint?: Endpoint
  readonly app?: 'a' | 'b'
  readonly noBounds?: boolean
  readonly expect: Expected
  readonly alsoAccept?: readonly Expected[]
}

interface Vectors {
  readonly apps: Readonly<Record<'a' | 'b', { readonly appId: string }>>
  readonly events: readonly {
    readonly app: 'a' | 'b'
    readonly batch: number
    readonly tags: string[]
    readonly payload: string
  }[]
  readonly cases: readonly VectorCase[]
}

const vectors = JSON.parse(
  readFileSync(new URL('../../../test/fixtures/vectors/aql.json', import.meta.url), 'utf8'),
) as Vectors

// Foreign events lie around those of the vectors and must be kept out by the bounds.
const before: MemoryEvent = {
  lamport: 1,
  stream: TEST_STREAM,
  offset: 0,
  timestamp: NOW_MICROS - 60_000_000,
  tags: ['order', 'created', 'temp'],
  appId: 'com.example.vec-a',
  payload: '{"foreign":true}',
}
const published = vectors.events.map((event, index): MemoryEvent => ({
  lamport: index + 2,
  stream: TEST_STREAM,
  offset: index + 1,
  timestamp: NOW_MICROS - 30_000_000 + event.batch * 25_123,
  tags: event.tags,
  appId: vectors.apps[event.app].appId,
  payload: event.payload,
}))
const after: MemoryEvent = { ...before, lamport: published.length + 2, offset: published.length + 1 }
const elsewhere: MemoryEvent = { ...before, stream: streamIdOf(TEST_NODE, 7), lamport: 3 }
const reader = new MemoryReader([before, elsewhere, ...published, after], TEST_NODE)
const lowerBound = new Map([[TEST_STREAM, 0]])
const upperBound = new Map([[TEST_STREAM, published.length]])

function expand(query: string): string {
  return query.replace(/\{\{(key|lamport|time) (\d+)\}\}/g, (_, what: string, index: string) => {
    const event = published[Number(index)]!
    if (what === 'key') return `${String(event.lamport)}/${event.stream}`
    if (what === 'lamport') return String(event.lamport)
    const millis = Math.floor(event.timestamp / 1000)
    return `${new Date(millis).toISOString().slice(0, -1)}${String(event.timestamp % 1000).padStart(3, '0')}Z`
  })
}

interface Got {
  readonly status: number
  readonly rows?: readonly Row[]
  readonly complete?: boolean
}

async function ask(vector: VectorCase): Promise<Got> {
  const endpoint = vector.endpoint ?? 'query'
  try {
    const appId = vectors.apps[vector.app ?? 'a'].appId
    const prepared = prepareQuery(expand(vector.query), { endpoint, appId, nowMicros: NOW_MICROS })
    if (endpoint !== 'query') {
      prepared.live({ nodeId: TEST_NODE })
      return { status: 200 }
    }
    const order = vector.order ?? 'asc'
    const signal = new AbortController().signal
    const run = prepared.run({ reader, order, lowerBound, upperBound, nodeId: TEST_NODE, signal })
    const rows: Row[] = []
    for (;;) {
      const next = await run.next()
      if (next.done === true) return { status: 200, rows, complete: next.value.complete }
      rows.push(...next.value)
    }
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    return { status: error instanceof AqlUnsupportedFeatureError ? 418 : 400 }
  }
}

function metaOf(row: Row & { readonly kind: 'event' | 'antiEvent' }): string {
  const index = (key: { readonly lamport: number; readonly stream: string }) =>
    published.findIndex((event) => event.lamport === key.lamport && event.stream === key.stream)
  const { meta } = row
  if (meta.kind === 'none') return 's'
  if (meta.kind === 'range') {
    const [from, to] = [index(meta.from), index(meta.to)]
    return from < 0 || to < 0 ? 'other' : `r${String(from)}-${String(to)}`
  }
  const found = index(meta)
  if (found < 0) return 'other'
  const tags = published[found]!.tags.map((tag) => tag.normalize('NFC'))
  if (JSON.stringify([...tags].sort()) !== JSON.stringify([...meta.tags].sort())) return 'wrong-tags'
  return meta.appId === published[found]!.appId ? `e${String(found)}` : 'wrong-app'
}

/** Why an answer is not the wanted one. */
function mismatch(want: Expected, got: Got): string | undefined {
  if (want.status !== got.status) return `status ${String(got.status)}, expected ${String(want.status)}`
  if (want.rows === undefined || got.rows === undefined) return undefined
  if (want.rows.length !== got.rows.length) {
    return `${String(got.rows.length)} rows, expected ${String(want.rows.length)}: ${JSON.stringify(got.rows)}`
  }
  for (const [nth, wanted] of want.rows.entries()) {
    const row = got.rows[nth]!
    const severity = row.kind === 'diagnostic' ? row.severity : undefined
    if (severity !== wanted.diagnostic)
      return `row ${String(nth)}: ${JSON.stringify(row)}, expected ${JSON.stringify(wanted)}`
    if (row.kind === 'diagnostic') continue
    if (!sameJson(wanted.value!, row.payload)) return `row ${String(nth)}: ${row.payload}, expected ${wanted.value!}`
    if (metaOf(row) !== wanted.meta) return `row ${String(nth)}: from ${metaOf(row)}, expected ${wanted.meta!}`
  }
  return want.complete === got.complete ? undefined : `complete is ${String(got.complete)}`
}

for (const vector of vectors.cases) {
  t.test(vector.id, async (t) => {
    const got = await ask(vector)
    const reasons = [vector.expect, ...(vector.alsoAccept ?? [])].map((want) => mismatch(want, got))
    t.ok(reasons.includes(undefined), `${vector.query.slice(0, 300)}: ${reasons.join(' / ')}`)
  })
}
