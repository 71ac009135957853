import fc from 'fast-check'
import t from 'tap'
import { pipeline } from '../../storage/pipeline.js'

t.test(
  'results come in the order of their items, whatever order the work ends in, never more than depth at once',
  async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.integer(), { maxLength: 20 }),
        fc.integer({ min: 1, max: 5 }),
        async (scheduler, numbers, depth) => {
          let underWay = 0
          let most = 0
          const results = pipeline(stream(numbers), depth, async (number) => {
            most = Math.max(most, ++underWay)
            await scheduler.schedule(Promise.resolve())
            underWay--
            return 2 * number
          })
          const collected = collect(results)
          await scheduler.waitFor(collected)
          t.same(
            await collected,
            numbers.map((number) => 2 * number),
          )
          t.ok(most <= depth)
        },
      ),
      { numRuns: 60 },
    )
  },
)

t.test('a failure comes when its turn comes, after the results before it, and ends the items', async (t) => {
  const state = { ended: false }
  const results = pipeline(watched([1, 2, 3, 4, 5], state), 3, (number) =>
    number === 2 ? Promise.reject(new Error('no two')) : Promise.resolve(number),
  )
  t.same(await results.next(), { done: false, value: 1 })
  await t.rejects(results.next(), { message: 'no two' })
  t.ok(state.ended)
})

t.test('ending early waits for what is under way and ends the items', async (t) => {
  const state = { ended: false }
  let underWay = 0
  const results = pipeline(watched([1, 2, 3, 4, 5], state), 3, async (number) => {
    underWay++
    await new Promise((resolve) => setImmediate(resolve))
    underWay--
    if (number === 3) throw new Error('nobody sees this')
    return number
  })
  await results.next()
  await results.return(undefined)
  t.equal(underWay, 0)
  t.ok(state.ended)
})

async function* stream<Item>(items: readonly Item[]): AsyncGenerator<Item> {
  for (const item of items) yield await Promise.resolve(item)
}

async function* watched<Item>(items: readonly Item[], state: { ended: boolean }): AsyncGenerator<Item> {
  try {
    yield* stream(items)
  } finally {
    state.ended = true
  }
}

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const collected: Item[] = []
  for await (const item of items) collected.push(item)
  return collected
}
