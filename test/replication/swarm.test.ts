import t from 'tap'
import { testConformance } from './conformance.js'
import { openSwarms, until } from './swarms.js'

t.test('the conformance tests of transports, over libp2p', (t) => {
  testConformance(t, { swarm: (t, nodes) => openSwarms(t, nodes), until, during: (promise) => promise })
  t.end()
})
