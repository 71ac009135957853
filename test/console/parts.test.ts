import fc from 'fast-check'
import t from 'tap'
import { parseQuery } from '../../aql/index.js'
import type {
  BlockReport,
  BlocksWanted,
  Client,
  EventLine,
  MissingReport,
  StreamReport,
  SwarmNodeReport,
  SwarmReport,
} from '../../client/index.js'
import { filterQuery, withTag } from '../../console/events/filter.js'
import { eventName, parseEventName, previewOf } from '../../console/events/row.js'
import { MOST_ROWS, TailRows } from '../../console/events/tail-rows.js'
import { bytes, count, milliseconds, rate } from '../../console/figures/numbers.js'
import { duration } from '../../console/figures/times.js'
import { linkState } from '../../console/live/link-state.js'
import { parseFigures } from '../../console/node/figures.js'
import { cellOf, columnsOf, numberColumns } from '../../console/query/columns.js'
import { csvOf } from '../../console/query/csv.js'
import { MOST_SHOWN, Result } from '../../console/query/result.js'
import { placeOf } from '../../console/routing/place.js'
import { laneScale, limitAgeMs } from '../../console/streams/lane-scale.js'
import { blockFacts, fateSentence } from '../../console/streams/picture/block-words.js'
import { drawBlocks, formOf } from '../../console/streams/picture/drawn-block.js'
import { loadBlocks } from '../../console/streams/picture/shown-blocks.js'
import { timeScale } from '../../console/streams/picture/time-scale.js'
import { fillings, limitsText, pruneWords } from '../../console/streams/stream-words.js'
import { cellFor, columnsOf as matrixColumns } from '../../console/swarm/matrix-cells.js'
import { nodesOf, verdict } from '../../console/swarm/nodes.js'

const STREAM = `${'a/.b'.repeat(10)}abc-7`

function event(offset: number, payload: unknown = offset, tags: readonly string[] = []): EventLine {
  return {
    type: 'event',
    lamport: offset,
    stream: STREAM,
    offset,
    timestamp: 1e15 + offset,
    tags,
    appId: 'com.example.a',
    payload,
  }
}

t.test('figures have units of powers of 1000, commas, and a dash for what is not known', async (t) => {
  t.strictSame([0, 999, 999.6, 1000, 9949, 16_000, 1.6e6, 999_949_999, 1e9].map(bytes), [
    '0 B',
    '999 B',
    '1.0 kB',
    '1.0 kB',
    '9.9 kB',
    '16 kB',
    '1.6 MB',
    '1.0 GB',
    '1.0 GB',
  ])
  t.equal(bytes(null), '–')
  t.equal(count(1_509_376), '1,509,376')
  t.equal(count(undefined), '–')
  t.strictSame([0, 0.02, 1.1, 1234.5, undefined].map(rate), ['0/s', '0.020/s', '1.1/s', '1,235/s', '–'])
  t.strictSame([1.23, 18.4].map(milliseconds), ['1.2 ms', '18 ms'])
})

t.test('durations have at most two units, and are never negative', async (t) => {
  const cases = [
    [-5, '0 s'],
    [41_000, '41 s'],
    [60_000, '1 min'],
    [163_000, '2 min 43 s'],
    [20_760_000, '5 h 46 min'],
    [86_400_000, '1 day'],
    [12.2 * 86_400_000, '12 days 4 h'],
  ] as const
  for (const [ms, text] of cases) t.equal(duration(ms), text)
})

t.test('the link is old after 10 s of waiting, and gone after 10 s of failures', async (t) => {
  const facts = { answeredMs: 1000, failingSinceMs: undefined, visibleSinceMs: 0 }
  t.equal(linkState({ ...facts, answeredMs: undefined }, 5000), 'loading')
  t.equal(linkState(facts, 10_999), 'live')
  t.equal(linkState(facts, 11_000), 'stale')
  t.equal(linkState({ ...facts, failingSinceMs: 3000 }, 10_999), 'live', 'short failures do not show')
  t.equal(linkState({ ...facts, failingSinceMs: 3000 }, 11_000), 'disconnected')
  t.equal(linkState({ ...facts, answeredMs: undefined, failingSinceMs: 0 }, 10_000), 'disconnected')
})

t.test('a tab that was hidden is not called disconnected when it is seen again', async (t) => {
  const facts = { answeredMs: 1000, failingSinceMs: undefined, visibleSinceMs: 3_600_000 }
  t.equal(linkState(facts, 3_600_500), 'live')
  t.equal(linkState({ ...facts, visibleSinceMs: undefined }, 3_600_500), 'live')
})

t.test('the names of events are read back, also where the id of a node has slashes', async (t) => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (offset) => {
      t.strictSame(parseEventName(eventName({ stream: STREAM, offset })), { stream: STREAM, offset })
    }),
    { numRuns: 20 },
  )
  for (const name of ['', 'a/b', `${STREAM}/x`, `${STREAM}/-1`]) t.equal(parseEventName(name), undefined, name)
})

t.test('a filter with one more tag is a query that parses', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 4 }), (tags) => {
      const filter = tags.reduce(withTag, '')
      t.doesNotThrow(() => parseQuery(filterQuery(filter)), filter)
    }),
    { numRuns: 50 },
  )
  t.equal(filterQuery(' '), 'FROM allEvents')
  t.equal(withTag("'a' | 'b'", 'c'), "('a' | 'b') & 'c'")
  t.equal(withTag("'a'", 'a'), "'a'")
})

t.test('the preview of a payload is short, however long the payload is', async (t) => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.integer({ min: 10, max: 300 }), (value, most) => {
      t.ok(previewOf(value, most).length <= most + 2)
    }),
    { numRuns: 100 },
  )
  t.equal(previewOf({ a: [1, { b: null }], c: 'x' }), '{"a":[1,{"b":null}],"c":"x"}')
  t.ok(previewOf('x'.repeat(1e7)).length < 300)
})

t.test('the tail shows the newest first, and counts what comes while it is stopped', async (t) => {
  const tail = new TailRows()
  tail.begin([event(1), event(0)])
  tail.push(event(2))
  tail.push(event(3))
  t.ok(tail.flush())
  t.strictSame(
    tail.view.rows.map(({ event }) => event.offset),
    [3, 2, 1, 0],
  )
  t.notOk(tail.flush(), 'nothing new')
  tail.pause(5)
  tail.push(event(4))
  t.ok(tail.flush())
  t.equal(tail.view.waiting, 1)
  t.equal(tail.view.rows.length, 4)
  tail.resume()
  t.strictSame(
    tail.view.rows.map(({ event }) => event.offset),
    [4, 3, 2, 1, 0],
  )
  t.equal(tail.view.waiting, 0)
})

t.test('the tail stays bounded and loses count of nothing, whatever comes', async (t) => {
  const step = fc.oneof(fc.nat(3000), fc.constantFrom('flush' as const, 'pause' as const, 'resume' as const))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const tail = new TailRows()
      let pushed = 0
      for (const action of steps) {
        if (action === 'flush') tail.flush()
        else if (action === 'pause') tail.pause(0)
        else if (action === 'resume') tail.resume()
        else for (let n = 0; n < action; n++) tail.push(event(pushed++))
        t.ok(tail.view.rows.length <= MOST_ROWS)
        const offsets = tail.view.rows.map(({ event }) => event.offset)
        t.strictSame(
          offsets,
          offsets.toSorted((a, b) => b - a),
          'newest first, none twice',
        )
      }
      tail.resume()
      if (pushed > 0) t.equal(tail.view.rows[0]?.event.offset, pushed - 1, 'the newest is shown')
    }),
    { numRuns: 30 },
  )
})

t.test('columns are the members of the payloads in the order of their appearance', async (t) => {
  const rows = [event(0, { a: 1, b: 'x' }), event(1, { b: 'y', c: 2 }), event(2, 7)]
  t.strictSame(columnsOf(rows), ['a', 'b', 'c', 'value'])
  t.strictSame(numberColumns(rows, columnsOf(rows)), ['a', 'c', 'value'])
  t.equal(cellOf(rows[0]!, 'toString'), undefined, 'what objects inherit is no member')
  t.equal(cellOf(rows[2]!, 'value'), 7)
})

t.test('a saved result has all rows, also those that are not shown', async (t) => {
  const result = new Result()
  for (let n = 0; n < MOST_SHOWN + 5; n++) result.push(JSON.stringify(event(n)))
  t.equal(result.rows.length, MOST_SHOWN)
  t.equal(result.count, MOST_SHOWN + 5)
  const saved = (await result.ndjson().text()).trimEnd().split('\n')
  t.equal(saved.length, MOST_SHOWN + 5)
  result.push(JSON.stringify(event(-1)))
  t.equal((await result.ndjson().text()).trimEnd().split('\n').length, MOST_SHOWN + 6, 'saving does not end it')
})

t.test('CSV keeps texts whole and runs nothing in a spreadsheet', async (t) => {
  const result = new Result()
  result.push(JSON.stringify(event(0, { text: 'a "b",\nc', formula: '=1+1', number: -5 }, ['x', 'y'])))
  result.push(JSON.stringify(event(1, { other: { a: [1] } })))
  const text = await (await csvOf(result.ndjson())).text()
  const [head, ...rest] = text.split('\r\n')
  t.equal(head, 'time,stream,offset,lamport,tags,appId,text,formula,number,other')
  t.match(rest.join('\r\n'), `x y,com.example.a,"a ""b"",\nc",'=1+1,-5,\r\n`)
  t.match(rest.join('\r\n'), /,,,"\{""a"":\[1\]\}"\r\n$/)
})

t.test('the figures of a node are summed over their labels', async (t) => {
  const figures = parseFigures('# HELP a b\na{x="1"} 2\na{x="} 7"} 3\nb 1.5e3\n\n')
  t.strictSame(
    [...figures],
    [
      ['a', 5],
      ['b', 1500],
    ],
  )
})

const NO_LIMITS = { maxEvents: null, maxStoredBytes: null, maxAgeMicros: null, maxBlockAgeMicros: null }

function stream(parts: Partial<StreamReport>): StreamReport {
  return {
    stream: STREAM,
    name: 'telemetry',
    number: 7,
    own: true,
    events: 100,
    firstOffset: 0,
    nextOffset: 100,
    blocks: 5,
    tailEvents: 0,
    storedBytes: 1000,
    oldestTimestamp: 1e12,
    newestTimestamp: 2e12,
    retention: NO_LIMITS,
    nextPrune: { blocks: 0, events: 0, storedBytes: 0, heldBackBy: 'no-limit' },
    nextPruneAt: null,
    decidedBy: null,
    cuts: { maxEvents: null, maxSize: null, maxAge: null },
    ...parts,
  }
}

t.test('the next prune is said in words, and stands out when something goes', async (t) => {
  t.strictSame(pruneWords(stream({}), 0), { short: 'kept for ever', more: '', isNotable: false })
  const nextPrune = { blocks: 2, events: 40, storedBytes: 1500, heldBackBy: 'within-limits' } as const
  t.strictSame(pruneWords(stream({ nextPrune, nextPruneAt: 41e6 }), 0), {
    short: '2 of 5 blocks go',
    more: 'in 41 s, 40 events',
    isNotable: true,
  })
})

t.test('each limit says how far it is used up', async (t) => {
  const retention = { ...NO_LIMITS, maxEvents: 200, maxAgeMicros: 4e12 }
  t.equal(limitsText(retention), 'maxAge 46 days 7 h, maxEvents 200')
  const parts = fillings(stream({ retention }), 3e9).map(({ name, part }) => [name, part])
  t.strictSame(parts, [
    ['maxAge', 0.5],
    ['maxEvents', 0.5],
  ])
})

const OWN = 'A'.repeat(43)
const OTHER = 'E'.repeat(43)

function swarmWith(node: Partial<SwarmNodeReport>, missing: readonly MissingReport[] = []): SwarmReport {
  return {
    swarm: true,
    nodeId: OWN,
    topic: 't',
    now: 1e15,
    addresses: [],
    streams: [{ stream: `${OWN}-0`, owner: OWN, name: null, own: true, nextOffset: 9, knownOffset: 9 }],
    missing,
    nodes: [
      {
        nodeId: OTHER,
        state: 'connected',
        since: 0,
        addresses: [],
        roundTripMs: 1.2,
        status: null,
        error: null,
        errorAt: null,
        comparedAt: 1,
        missing: [],
        ...node,
      },
    ],
  }
}

function lacking(missing: number, behind: number | null, stream = `${OWN}-0`): MissingReport {
  return { stream, nextOffset: 0, missing, behind }
}

t.test('the matrix says who has what and how far it is behind, and never 0 for what is not known', async (t) => {
  const [column] = matrixColumns([`${OWN}-0`], new Map(), '')
  const other = (parts: Partial<SwarmNodeReport>) => {
    const swarm = swarmWith(parts)
    const { look, text, more } = cellFor(nodesOf(swarm, 0)[1]!, column!, { swarm, gaps: new Set() })
    return [look, text, more]
  }
  t.strictSame(other({}), ['has-all', '0', ''])
  t.strictSame(other({ missing: [lacking(5, 29e6)] }), ['some', '5', ''])
  t.strictSame(other({ missing: [lacking(46, 42e6)] }), ['many', '46', '42 s'])
  t.strictSame(other({ missing: [lacking(2844, 9480e6)] }), ['more', '2,844', '2 h 38 min'])
  t.strictSame(other({ missing: [lacking(3, null)] }), ['many', '3', ''])
  t.strictSame(other({ missing: [lacking(3, 1e6, `${OTHER}-0`)] }), ['has-all', '0', ''])
  t.strictSame(other({ comparedAt: null }), ['unknown', '–', ''])
  t.strictSame(other({ state: 'waiting', missing: [lacking(5, 1)] }), ['last-known', '5', ''])
})

t.test('the row of this node shows what is missing here, and gaps as such', async (t) => {
  const stream = `${OTHER}-3`
  const swarm = swarmWith({}, [lacking(1024, 1e6, stream)])
  const [own] = nodesOf(swarm, 0)
  const [mine, theirs] = matrixColumns([`${OWN}-0`, stream], new Map(), '')
  t.equal(cellFor(own!, mine!, { swarm, gaps: new Set() }).look, 'owner')
  t.equal(cellFor(own!, theirs!, { swarm, gaps: new Set() }).look, 'some')
  t.match(cellFor(own!, theirs!, { swarm, gaps: new Set([stream]) }), { look: 'gap', words: 'gap, 1,024 missing' })
})

t.test('many streams are put together by owner, until one is opened', async (t) => {
  const streams = Array.from({ length: 20 }, (_, number) => `${number < 10 ? OWN : OTHER}-${number}`)
  t.strictSame(
    matrixColumns(streams, new Map(), '').map(({ title }) => title),
    ['10 streams', '10 streams'],
  )
  t.equal(matrixColumns(streams, new Map(), OTHER).length, 11)
  t.equal(matrixColumns(streams.slice(0, 12), new Map(), '').length, 12)
})

t.test('the verdict counts the nodes that are on', async (t) => {
  const nodes = nodesOf(swarmWith({ state: 'waiting' }), 0)
  t.equal(verdict(nodes, true, 2), '1 of 2 nodes on, 2 alarms')
  t.equal(verdict(nodes.slice(0, 1), true, 0), 'No other node yet')
  t.equal(verdict(nodes.slice(0, 1), false, 1), 'This node is alone, 1 alarm')
})

function block(parts: Partial<BlockReport>): BlockReport {
  return {
    number: 1,
    firstOffset: 0,
    events: 10,
    storedBytes: 100,
    oldestTimestamp: 1e9,
    newestTimestamp: 2e9,
    sealed: true,
    state: 'ok',
    fate: { heldBy: 'inside', limit: 'maxAge', until: null, old: false },
    ...parts,
  }
}

t.test('each state of a block has a form and words of its own', async (t) => {
  const held = (heldBy: 'inside' | 'notFull' | 'owner', old: boolean) =>
    ({ heldBy, limit: 'maxAge', until: 100e6, old }) as const
  const cases: readonly (readonly [Partial<BlockReport>, string, string])[] = [
    [{}, 'inside', 'Inside its limits.'],
    [{ fate: { goesAt: 5, by: 'maxAge' } }, 'goes', 'Goes at the next prune.'],
    [{ fate: held('inside', true) }, 'held', 'Stays: an event is inside maxAge, for 1 min 40 s more.'],
    [{ fate: held('owner', true) }, 'held', 'Stays: its owner decides, for 1 min 40 s more.'],
    [{ sealed: false, fate: held('notFull', true) }, 'open', 'Stays: it is not full, for 1 min 40 s more.'],
    [{ sealed: false, fate: held('notFull', false) }, 'open', 'Takes the next events.'],
    [{ state: 'damaged' }, 'lost', 'Is damaged and not served.'],
    [{ state: 'missing', fate: null }, 'lost', 'Is missing.'],
  ]
  for (const [parts, form, words] of cases) {
    t.equal(formOf(block(parts)), form)
    t.equal(fateSentence(block(parts), 0), words)
  }
  t.equal(
    blockFacts(block({ firstOffset: 1024, number: null, oldestTimestamp: null }), 0),
    'offsets 1,024 to 1,033, 10 events, 100 B, sealed',
  )
})

t.test('blocks stand where their time is, and lost ones between their neighbours', async (t) => {
  const scale = timeScale(0, 10_000, 0, 1000)
  const blocks = [
    block({ oldestTimestamp: 0, newestTimestamp: 2e6 }),
    block({ state: 'missing', oldestTimestamp: null, newestTimestamp: null, storedBytes: null }),
    block({ oldestTimestamp: 6e6, newestTimestamp: 9e6, events: 5, sealed: false }),
  ]
  const drawn = drawBlocks(blocks, 'events', 10, scale)
  t.ok(drawn.every(({ x }, index) => index === 0 || x >= drawn[index - 1]!.x + drawn[index - 1]!.width))
  t.strictSame(
    drawn.map(({ level }) => level),
    [1, 1, 0.5],
  )
  t.ok(drawn[1]!.width > 300, 'the lost one fills the hole')
})

t.test('a folded picture gives both ends half of the room', async (t) => {
  const { x } = timeScale(0, 1_000_000, 60, 1060, { fromMs: 1000, toMs: 999_000 })
  t.equal(x(0), 60)
  t.equal(x(1000), 60 + 430)
  t.equal(x(999_000), 1060 - 430)
  t.equal(x(1_000_000), 1060)
  t.equal(x(2_000_000), 1060, 'what is later than now by the clock of the browser is now')
})

t.test('many blocks are asked for at both ends, and the rest is counted', async (t) => {
  const all = Array.from({ length: 1000 }, (_, number) =>
    block({ number, firstOffset: number * 10, oldestTimestamp: number * 1e6, newestTimestamp: number * 1e6 + 5e5 }),
  )
  const asked: BlocksWanted[] = []
  const client = {
    blocks: (_stream: string, wanted: BlocksWanted) => {
      asked.push(wanted)
      const { limit = 100, order } = wanted
      const blocks = order === 'desc' ? all.toReversed().slice(0, limit) : all.slice(0, limit)
      return Promise.resolve({ blocks, more: limit < all.length, open: null })
    },
  } as unknown as Client
  const shown = await loadBlocks(client, STREAM, false, AbortSignal.timeout(1000))
  t.equal(asked.length, 2)
  t.strictSame(
    shown?.report.blocks.map(({ number }) => number),
    [...Array.from({ length: 20 }, (_, n) => n), ...Array.from({ length: 20 }, (_, n) => 980 + n)],
  )
  t.match(shown?.fold, { blocks: 960, before: 20, fromMs: 19_500, toMs: 980_000 })
  const opened = await loadBlocks(client, STREAM, true, AbortSignal.timeout(1000))
  t.equal(opened?.report.blocks.length, 1000)
  t.equal(opened?.fold, undefined)
})

t.test('the limits of all lanes stand on one line, and nothing is cut off', async (t) => {
  const retention = { ...NO_LIMITS, maxEvents: 50 }
  const cuts = { maxEvents: { offset: 50, time: 1.5e12 }, maxSize: null, maxAge: null }
  const beyond = stream({ retention, decidedBy: 'maxEvents', cuts })
  const nowMs = 2e9
  t.equal(limitAgeMs(beyond, nowMs), 5e8)
  const within = stream({ retention: { ...NO_LIMITS, maxEvents: 200 }, decidedBy: 'maxEvents' })
  t.equal(limitAgeMs(within, nowMs), 2e9, 'a stream that is half full cuts at twice its age')
  t.equal(limitAgeMs(stream({}), nowMs), undefined)
  for (const one of [beyond, within]) {
    const { line, x } = laneScale(limitAgeMs(one, nowMs), 1e9, 400)
    t.equal(line, 120)
    t.equal(x(limitAgeMs(one, nowMs)!), 120)
    t.ok(x(1e9) >= 4 && x(0) === 396)
  }
})

t.test('the place of an error in a draft is found in characters', async (t) => {
  const text = 'routes:\n  - "𝒳": 1\n'
  const at = { source: 'draft', line: 2, column: 8, length: 1, reason: '', mend: null, text: '' }
  const { from, to } = placeOf(text, at)
  t.equal(text.slice(from, to), ':')
})
