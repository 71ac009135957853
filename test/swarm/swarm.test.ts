import t from 'tap'
import { testPart } from '../support/test-part.js'
import * as absentOwner from './absent-owner.js'
import * as join from './join.js'
import * as partitions from './partitions.js'

t.setTimeout(1_500_000)

await testPart(partitions, 'nodes that were cut off, slowed down or killed have the same events when they meet again', {
  quick: 0,
  ci: 10,
})
await testPart(absentOwner, 'replicas complete each other, and a new node, without the owner', { quick: 0, ci: 2 })
await testPart(join, 'a new node gets everything while the others go on publishing', { quick: 0, ci: 1 })
