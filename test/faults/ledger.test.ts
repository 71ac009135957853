import t from 'tap'
import type { Delivered, Draft, QueryResult, Receipt } from '../support/api-client.js'
import { Random } from '../support/random.js'
import { Ledger, type Lane } from './ledger.js'

const LANES: readonly Lane[] = [
  { tag: 'lane:a', keepAtLeast: undefined },
  { tag: 'lane:b', keepAtLeast: 5 },
]

/** A node that does what it should: the tests then take something away from its answer. */
class HonestNode {
  events: Delivered[] = []
  readonly #next = new Map<string, number>()

  publish = (drafts: readonly Draft[]): Promise<readonly Receipt[]> => {
    const receipts = drafts.map(({ tags, payload }) => {
      const stream = tags[0] === 'lane:a' ? 's-0' : 's-1'
      const offset = this.#next.get(stream) ?? 0
      this.#next.set(stream, offset + 1)
      const receipt = { stream, offset, lamport: this.events.length + 1, timestamp: 5 }
      const value: unknown = JSON.parse(payload)
      this.events.push({ ...receipt, type: 'event', appId: 'a', tags: [...tags].sort(), payload: value })
      return receipt
    })
    return Promise.resolve(receipts)
  }

  answer(events: readonly Delivered[] = this.events): QueryResult {
    const offsets = Object.fromEntries([...this.#next].map(([stream, next]) => [stream, next - 1]))
    return { status: 200, lines: events.map((event) => JSON.stringify(event)), diagnostics: [], offsets, refusal: '' }
  }
}

async function published(batches = 20): Promise<{ ledger: Ledger; node: HonestNode }> {
  const ledger = new Ledger(LANES)
  const node = new HonestNode()
  const random = new Random(1)
  for (let batch = 0; batch < batches; batch++) await ledger.publish(node, random, 1 + random.below(4))
  return { ledger, node }
}

t.test('the record of acknowledged events accepts an honest answer and an honest prune', async (t) => {
  const { ledger, node } = await published()
  ledger.compare(node.answer())
  const pruned = node.events.filter(({ stream, offset }) => stream === 's-0' || offset >= 3)
  ledger.compare(node.answer(pruned))
  t.throws(() => ledger.compare(node.answer()), /came back/)
})

const lies: Record<string, { lie: (events: Delivered[]) => void; error: RegExp }> = {
  'the last event lost': { lie: (events) => void events.pop(), error: /ends at|lost/ },
  'an event in the middle lost': { lie: (events) => void events.splice(9, 1), error: /hole/ },
  'the beginning of a permanent stream lost': {
    lie: (events) =>
      void events.splice(
        events.findIndex(({ stream }) => stream === 's-0'),
        1,
      ),
    error: /permanent/,
  },
  'an event twice': { lie: (events) => void events.splice(4, 0, events[3]!), error: /twice/ },
  'a changed payload': { lie: (events) => void (events[5] = { ...events[5]!, payload: { id: 6 } }), error: /payload/ },
  'a lost tag': { lie: (events) => void (events[5] = { ...events[5]!, tags: [] }), error: /tags/ },
  'two events that changed places': {
    lie: (events) => {
      const stream = events[0]!.stream
      const [a, b] = events.filter((event) => event.stream === stream)
      events[events.indexOf(a!)] = { ...b!, offset: a!.offset, lamport: a!.lamport }
      events[events.indexOf(b!)] = { ...a!, offset: b!.offset, lamport: b!.lamport }
    },
    error: /moved|used twice/,
  },
  'an event that nobody sent': {
    lie: (events) => void events.push({ ...events.at(-1)!, lamport: 999, payload: { id: 12345 } }),
    error: /never sent/,
  },
  'more pruned than the limit allows': {
    lie: (events) => {
      const left = events.filter(({ stream }) => stream === 's-0')
      const last = events.filter(({ stream }) => stream === 's-1').slice(-2)
      events.splice(0, events.length, ...[...left, ...last].sort((a, b) => a.lamport - b.lamport))
    },
    error: /pruned to 2/,
  },
}

for (const [what, { lie, error }] of Object.entries(lies)) {
  t.test(`the record of acknowledged events notices ${what}`, async (t) => {
    const { ledger, node } = await published()
    const events = [...node.events]
    lie(events)
    t.throws(() => ledger.compare(node.answer(events)), error)
  })
}

t.test('a publish of unknown outcome may be there or not, but not in part', async (t) => {
  const { ledger, node } = await published()
  const before = [...node.events]
  const lost = {
    publish: (drafts: readonly Draft[]) => node.publish(drafts).then(() => Promise.reject(new Error('cut'))),
  }
  await t.rejects(ledger.publish(lost, new Random(2), 6), { message: 'cut' })
  ledger.compare(node.answer())
  const { ledger: other, node: same } = await published()
  const half = {
    publish: (drafts: readonly Draft[]) =>
      same.publish(drafts.slice(0, 3)).then(() => Promise.reject(new Error('cut'))),
  }
  await t.rejects(other.publish(half, new Random(2), 6), { message: 'cut' })
  t.throws(() => other.compare(same.answer()), /torn/)
  t.ok(before.length < node.events.length)
})

t.test('an offset that is given away twice is noticed at the acknowledgement', async (t) => {
  const { ledger, node } = await published(3)
  const again = {
    publish: (drafts: readonly Draft[]) =>
      node.publish(drafts).then((receipts) => receipts.map((r) => ({ ...r, offset: 0 }))),
  }
  await t.rejects(ledger.publish(again, new Random(3), 1), /used twice/)
})
