import t from 'tap'
import * as clock from './clock.js'
import * as fullDisk from './full-disk.js'
import * as readOnly from './read-only.js'
import { testPart } from '../support/test-part.js'
import * as soak from './soak.js'
import * as subscriptions from './subscriptions.js'

t.setTimeout(1_500_000)

await testPart(fullDisk, 'a full disk refuses publishers, serves readers, loses nothing, and heals', {
  quick: 0,
  ci: 4,
})
await testPart(readOnly, 'a read-only disk refuses publishers, serves readers, and loses nothing', { quick: 0, ci: 2 })
await testPart(clock, 'a jump of the wall clock changes no order and deletes nothing', { quick: 0, ci: 6 })
await testPart(subscriptions, 'stopped readers cost the others nothing and memory stays bounded', { quick: 0, ci: 1 })
await testPart(soak, 'memory, descriptors and disk stay flat while streams are pruned', { quick: 0, ci: 2 })
