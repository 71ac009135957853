import t from 'tap'
import * as block from './fuzz-block.js'
import { testPart } from './run-part.js'

t.setTimeout(1_500_000)

await testPart(block, 'damaged and forged stored bytes give the truth or a named error', { quick: 1000, ci: 20_000 })
