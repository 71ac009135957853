import t from 'tap'
import { Gate } from '../../storage/gate.js'

t.test('no more than the limit run at a time, in the order they came, and a failure frees its place', async (t) => {
  let limit = 2
  let running = 0
  let most = 0
  const order: number[] = []
  const gate = new Gate(() => limit)
  const work = (number: number) => async (): Promise<number> => {
    order.push(number)
    most = Math.max(most, ++running)
    await new Promise((resolve) => setImmediate(resolve))
    running--
    if (number % 3 === 0) throw new Error('failed')
    return number
  }
  const numbers = Array.from({ length: 20 }, (_, number) => number)
  const results = await Promise.allSettled(numbers.map((number) => gate.run(work(number))))
  t.equal(most, 2)
  t.same(order, numbers)
  t.same(
    results.map((result) => (result.status === 'fulfilled' ? result.value : -1)),
    numbers.map((number) => (number % 3 === 0 ? -1 : number)),
  )
  limit = 5
  await Promise.all(numbers.map((number) => gate.run(work(number)).catch(() => undefined)))
  t.equal(most, 5, 'the limit may change meanwhile')
})

t.test('those who wait begin together when the limit goes away', async (t) => {
  let limit = 1
  const begun: number[] = []
  const ends: (() => void)[] = []
  const gate = new Gate(() => limit)
  const all = [0, 1, 2, 3].map((number) =>
    gate.run(() => {
      begun.push(number)
      return new Promise<void>((resolve) => ends.push(resolve))
    }),
  )
  t.same(begun, [0])
  limit = Infinity
  ends[0]?.()
  await all[0]
  await new Promise((resolve) => setImmediate(resolve))
  t.same(begun, [0, 1, 2, 3])
  for (const end of ends) end()
  await Promise.all(all)
})
