import t from 'tap'
import * as corrupt from './corrupt.js'
import { testPart } from '../support/test-part.js'

t.setTimeout(1_500_000)

await testPart(corrupt, 'one damaged file is found or harmless, and never gives wrong data', { quick: 10, ci: 200 })
