import t from 'tap'
import * as simulate from '../faults/simulate.js'
import { testPart } from '../support/test-part.js'

t.setTimeout(1_500_000)

t.test('one seed decides the whole course of a simulation', async (t) => {
  const [once, again] = await Promise.all([simulate.simulateOnce(1), simulate.simulateOnce(1)])
  t.same(once, again)
  t.ok(once.events > 1000)
})

await testPart(simulate, 'whatever happens to the nodes of a swarm, in the end all hold the same', {
  quick: 4,
  ci: 10,
})
