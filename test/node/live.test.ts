import fc from 'fast-check'
import t from 'tap'
import {
  compileSelection,
  EventBatch,
  LINE_TRAILER,
  renderLineHeader,
  toTagSet,
  type LineEvent,
  type TagSelection,
} from '../../core/index.js'
import { longLine } from '../../node/events/answer-lines.js'
import { LiveFeed } from '../../node/events/live-feed.js'
import { LiveIndex } from '../../node/events/live-index.js'
import { Router } from '../../node/events/router.js'

const NODE = 'a'.repeat(42) + '0'
const STREAM = `${NODE}-0`

let nextOffset = 0

/** A batch of one event. */
function eventWith(tags: readonly string[], appId = 'com.example.a', payload = '1'): EventBatch {
  const offset = nextOffset++
  const lamport = offset + 1
  const header = renderLineHeader({
    lamport,
    stream: STREAM,
    offset,
    timestamp: 5,
    tagsJson: JSON.stringify(toTagSet(tags)),
    appId,
  })
  const bytes = Buffer.from(header + payload + LINE_TRAILER)
  return new EventBatch({
    stream: STREAM,
    bytes,
    firstOffset: offset,
    starts: Uint32Array.of(0, bytes.length),
    payloads: Uint32Array.of(Buffer.byteLength(header)),
    lamports: Float64Array.of(lamport),
    timestamps: Float64Array.of(5),
  })
}

const tag = fc.constantFrom('a', 'b', 'c', 'd')
const { selection } = fc.letrec<{ selection: TagSelection }>((tie) => ({
  selection: fc.oneof(
    { maxDepth: 3 },
    fc.constant<TagSelection>({ kind: 'all' }),
    fc.constant<TagSelection>({ kind: 'none' }),
    fc.array(tag).map((tags): TagSelection => ({ kind: 'tags', anyOf: new Set(tags) })),
    fc.constantFrom('com.example.a', 'com.example.b').map((appId): TagSelection => ({ kind: 'appId', appId })),
    fc.array(tie('selection'), { maxLength: 3 }).map((terms): TagSelection => ({ kind: 'and', terms })),
    fc.array(tie('selection'), { maxLength: 3 }).map((terms): TagSelection => ({ kind: 'or', terms })),
  ),
}))

void t.test('a subscriber hears exactly of the events that its selection matches, each once and in order', (t) => {
  const events = fc.array(fc.tuple(fc.array(tag), fc.constantFrom('com.example.a', 'com.example.b')), { maxLength: 10 })
  fc.assert(
    fc.property(fc.array(selection, { maxLength: 6 }), events, (selections, list) => {
      const index = new LiveIndex(NODE)
      const heard = selections.map((selection) => {
        const offsets: number[] = []
        index.add(selection, { offer: (event) => offsets.push(event.offset) })
        return offsets
      })
      const batches = list.map(([tags, appId]) => eventWith(tags, appId))
      index.dispatch(batches)
      return selections.every((selection, at) => {
        const matches = compileSelection(selection, NODE)
        const expected = batches.map((batch) => batch.event(0)).filter(matches)
        return JSON.stringify(heard[at]) === JSON.stringify(expected.map(({ offset }) => offset))
      })
    }),
    { numRuns: 500 },
  )
  t.end()
})

void t.test('a removed subscriber hears nothing more and leaves nothing behind', (t) => {
  const index = new LiveIndex(NODE)
  let heard = 0
  const remove = index.add({ kind: 'tags', anyOf: new Set(['a']) }, { offer: () => (heard += 1) })
  index.dispatch([eventWith(['a'])])
  remove()
  remove()
  index.dispatch([eventWith(['a'])])
  t.equal(heard, 1)
  t.equal(index.size, 0)
  t.end()
})

void t.test('a feed hands out what came, in order', async (t) => {
  const feed = new LiveFeed()
  const { signal } = new AbortController()
  const waiting = feed.take(signal)
  const event = eventWith(['a']).event(0)
  feed.offer(event)
  t.same(await waiting, [event])
})

void t.test('a feed that nobody reads lets go of events instead of growing, and says so', async (t) => {
  const feed = new LiveFeed()
  const { signal } = new AbortController()
  const big = 'x'.repeat(300_000)
  for (let count = 0; count < 100; count++) feed.offer(eventWith(['a'], 'com.example.a', `"${big}"`).event(0))
  t.equal(await feed.take(signal), 'behind')
  feed.restart()
  const event: LineEvent = eventWith(['a']).event(0)
  feed.offer(event)
  t.same(await feed.take(signal), [event], 'after a restart it is as new')
})

void t.test('waiting at a feed ends with the signal', async (t) => {
  const controller = new AbortController()
  const waiting = new LiveFeed().take(controller.signal)
  controller.abort()
  t.equal(await waiting, undefined)
})

void t.test('the first matching route decides, none means the default stream', (t) => {
  const tags = (...names: string[]): TagSelection => ({ kind: 'tags', anyOf: new Set(names) })
  const router = new Router([
    { from: tags('a'), text: "'a'", into: 'one', streamNumber: 1 },
    { from: { kind: 'or', terms: [tags('a'), tags('b')] }, text: "'a' | 'b'", into: 'two', streamNumber: 2 },
    { from: { kind: 'appId', appId: 'com.x' }, text: 'appId(com.x)', into: 'three', streamNumber: 3 },
  ])
  const shared = toTagSet(['b'])
  t.equal(router.decide(toTagSet(['a', 'b']), 'com.x').into, 'one')
  t.equal(router.decide(shared, 'com.x').into, 'two')
  t.equal(router.decide(toTagSet(['c']), 'com.x').into, 'three')
  t.same(router.decide(toTagSet(['c']), 'com.y'), { streamNumber: 0, into: 'default', route: undefined })
  t.equal(router.decide(shared, 'com.x').into, 'two', 'a remembered decision stays the same')
  t.end()
})

void t.test('a long line is encoded in pieces that cut no character', async (t) => {
  for (const character of ['x', 'é', '～', '😀']) {
    for (const shift of ['', '-']) {
      const line = `${shift}${character.repeat(1_500_000)}\n`
      const pieces: Buffer[] = []
      for await (const piece of longLine(line)) pieces.push(piece)
      t.ok(pieces.length > 1)
      t.ok(Buffer.concat(pieces).equals(Buffer.from(line)), `${shift}${character}`)
    }
  }
})
