import * as hostile from '../faults/hostile.js'
import { testPart } from '../support/test-part.js'

await testPart(hostile, 'a hostile member is cut off, costs little and harms nobody', {
  quick: 0,
  ci: hostile.nightlyCount,
})
