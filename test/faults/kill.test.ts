import t from 'tap'
import * as kill from './kill.js'
import * as power from './power.js'
import { testPart } from '../support/test-part.js'

t.setTimeout(1_500_000)

await testPart(kill, 'a killed node has everything that it acknowledged, once, without holes', { quick: 5, ci: 50 })
await testPart(power, 'a node without power has everything that it acknowledged, once, without holes', {
  quick: 0,
  ci: 10,
})
