import t from 'tap'
import * as simulate from '../faults/simulate.js'
import { testPart } from '../support/test-part.js'

/** Seeds that once found a bug that the first few do not find. */
const FOUND = [
  313, // an owner pruned streams of the epoch before and told nobody
  179, // blocks in the index were deleted, since others could not be
  1060, // the same, while others kept them
  66, // what a repeated run said to be pruned was told to nobody
  189, // a replica dropped what a head said to be pruned that its disk then refused to keep
  4005, // what proved the end of a block, or a prune, was kept in memory only
  4102, // behind blocks that nobody could sign any more a replica took no others
  4128, // after a restart heads said less of what was pruned than before it
  4161, // a fork was taken for signatures that are missing
  8001, // signed blocks beyond the newest head that was left after power cuts were asked for by nobody
  1006, // signatures were not asked for while events were missing that nobody has
]

t.setTimeout(1_500_000)

t.test('one seed decides the whole course of a simulation', async (t) => {
  const [once, again] = await Promise.all([simulate.simulateOnce(1), simulate.simulateOnce(1)])
  t.same(once, again)
  t.ok(once.events > 1000)
})

t.test('seeds that found bugs find them no more', async (t) => {
  for (const seed of FOUND) t.same((await simulate.simulateOnce(seed)).faults, [], `seed ${String(seed)}`)
})

await testPart(simulate, 'whatever happens to the nodes of a swarm, in the end all hold the same', {
  quick: 4,
  ci: 200,
})
