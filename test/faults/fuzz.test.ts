import t from 'tap'
import * as aql from './fuzz-aql.js'
import * as block from './fuzz-block.js'
import * as http from './fuzz-http.js'
import * as ws from './fuzz-ws.js'
import * as yaml from './fuzz-yaml.js'
import { testPart } from '../support/test-part.js'

t.setTimeout(1_500_000)

const COUNTS = { quick: 1000, ci: 20_000 }

await testPart(http, 'no HTTP request ends the node or makes it answer 5xx', COUNTS)
await testPart(ws, 'no WebSocket frame harms more than its own connection', COUNTS)
await testPart(aql, 'every query text gets an answer or a refusal', COUNTS)
await testPart(yaml, 'every configuration text gives settings or problems with their places', COUNTS)
await testPart(block, 'damaged and forged stored bytes give the truth or a named error', COUNTS)
