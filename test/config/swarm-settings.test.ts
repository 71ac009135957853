import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import fc from 'fast-check'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { checkConfigText, ConfigError, loadSettings, renderProblem, type LoadRequest } from '../../config/index.js'
import { encodeBase64, nodeIdOfPeer, peerIdOfNode } from '../../core/index.js'
import { createNetworkKey } from '../../replication/index.js'

const load = (request: Partial<LoadRequest>) => loadSettings({ env: {}, flags: {}, ...request }).settings

const KEY = Buffer.alloc(32, 7).toString('base64')
const NODE = encodeBase64(Buffer.alloc(32, 9))
const PEER = peerIdOfNode(NODE) ?? ''

/** `line:column reason = mend` of each problem. */
function problems(text: string): string[] {
  return checkConfigText(text, 'x.yml').problems.map(
    ({ line, column, reason, mend }) => `${line}:${column} ${reason} = ${mend ?? ''}`,
  )
}

t.test('without settings there is a topic and no key', async (t) => {
  const { swarm, replication, notReplicated } = load({})
  t.same(swarm, {
    topic: 'default-topic',
    key: undefined,
    listen: ['/ip4/0.0.0.0/tcp/4001', '/ip6/::/tcp/4001'],
    announce: [],
    peers: [],
    mdns: true,
    headsIntervalMs: 10_000,
    maxStreams: 10_000,
    maxStreamsPerNode: 1000,
  })
  t.same(replication, { keep: new Map(), streams: undefined })
  t.equal(notReplicated.size, 0)
})

t.test('all of a swarm can be set in the file', async (t) => {
  const { settings, problems, warnings } = checkConfigText(
    `swarm:
  topic: a/b
  key: ${KEY}
  listen: [/ip4/127.0.0.1/tcp/0]
  announce: [/dns4/gate.example/tcp/4001]
  peers:
    - /ip4/192.168.1.2/tcp/4001
    - /ip6/fe80::1/tcp/4002/p2p/${PEER}
    - /dnsaddr/swarm.example
  mdns: false
  headsInterval: 500ms
  maxStreams: 5
  maxStreamsPerNode: 2
replication:
  streams: [measurements, { node: '${NODE}' }, { node: ${NODE}, stream: log }]
  keep:
    '*': { maxAge: 1d }
    default: { maxEvents: 5 }
    measurements: { maxSize: 5MB }
eventRouting:
  routes: [{ from: "'a'", into: own }, { from: "'b'", into: shared }]
  streams: { own: { replicate: false, maxEvents: 1 }, shared: { replicate: true } }
`,
    'x.yml',
  )
  t.same(problems, [])
  t.same(warnings, [])
  t.same(settings?.swarm, {
    topic: 'a/b',
    key: KEY,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    announce: ['/dns4/gate.example/tcp/4001'],
    peers: ['/ip4/192.168.1.2/tcp/4001', `/ip6/fe80::1/tcp/4002/p2p/${PEER}`, '/dnsaddr/swarm.example'],
    mdns: false,
    headsIntervalMs: 500,
    maxStreams: 5,
    maxStreamsPerNode: 2,
  })
  t.same(settings?.replication.streams, [
    { node: undefined, stream: 'measurements' },
    { node: NODE, stream: undefined },
    { node: NODE, stream: 'log' },
  ])
  const none = { maxEvents: Infinity, maxStoredBytes: Infinity, maxAgeMicros: Infinity, maxBlockAgeMicros: Infinity }
  t.same(
    [...(settings?.replication.keep ?? [])],
    [
      ['*', { ...none, maxAgeMicros: 86_400e6 }],
      ['default', { ...none, maxEvents: 5 }],
      ['measurements', { ...none, maxStoredBytes: 5e6 }],
    ],
  )
  t.same([...(settings?.notReplicated ?? [])], ['own'])
  t.equal(settings?.retention.get('own')?.maxEvents, 1)
})

t.test('the environment can say all of a swarm but the limits of replicas', async (t) => {
  const { swarm, replication } = load({
    env: {
      MILLRACE_SWARM_TOPIC: '42',
      MILLRACE_SWARM_KEY: KEY,
      MILLRACE_SWARM_LISTEN: '[]',
      MILLRACE_SWARM_PEERS: '[/ip4/10.0.0.1/tcp/1]',
      MILLRACE_SWARM_MDNS: 'false',
      MILLRACE_SWARM_MAX_STREAMS_PER_NODE: '3',
      MILLRACE_REPLICATION_STREAMS: '[a]',
    },
  })
  t.match(swarm, { topic: '42', key: KEY, listen: [], peers: ['/ip4/10.0.0.1/tcp/1'], mdns: false })
  t.equal(swarm.maxStreamsPerNode, 3)
  t.same(replication.streams, [{ node: undefined, stream: 'a' }])
  t.throws(() => load({ env: { MILLRACE_REPLICATION_KEEP: '{}' } }), /only in the file/)
})

t.test('a key that does not decode is refused with the reason, and never shown', async (t) => {
  const cases = [
    [KEY.slice(1), /it has 43 characters instead of 44/],
    [`${KEY.slice(0, 42)}==`, /31 bytes instead of 32/],
    [KEY.replace('B', '-'), /characters that are not of base64/],
    [`${KEY.slice(0, 42)}d=`, /its last characters are not those of 32 bytes/],
    ['12345', /it has 5 characters/],
  ] as const
  for (const [key, reason] of cases) {
    for (const text of [`swarm:\n  key: ${key}\n`, `swarm: { key: "${key}" }`, `swarm:\n  key: >-\n    ${key}\n`]) {
      const [problem, ...more] = checkConfigText(text, 'x.yml').problems
      t.same(more, [], text)
      t.match(problem, { reason, mend: /swarm keygen/ }, text)
      t.notMatch(JSON.stringify(problem), key, 'it may be the right one but for a character')
    }
    const { stack = '' } = t.throws(() => load({ env: { MILLRACE_SWARM_KEY: key } }), ConfigError) as unknown as Error
    t.notMatch(stack, key)
  }
})

t.test('no error in the neighbourhood of a key shows it', async (t) => {
  const texts = [
    `swarm: { key: ${KEY}, topci: a }`,
    `swarm: { "key": "${KEY}", topic: "" }`,
    `swarm:\n  swarmKey: ${KEY}\n`,
    `swarm:\n  swarmKey: not-quite-${KEY.slice(0, 20)}\n`,
    `swarm:\n\tkey: ${KEY}\n`,
    `swarm:\n  key: ${KEY} x: 1\n`,
    `secret: &k ${KEY}\nswarm: { key: *k }`,
    `key: ${KEY.slice(2)}`,
    `swarm:\n  key: ${KEY}\n  keyFile: swarm.key # ${KEY}\n`,
  ]
  for (const text of texts) {
    const { problems } = checkConfigText(text, 'x.yml')
    t.ok(problems.length > 0, text)
    const shown = problems.map((problem) => renderProblem(problem) + JSON.stringify(problem)).join('\n')
    t.notMatch(shown, KEY.slice(2, 20), text)
  }
  const [problem] = checkConfigText(`swarm: { topci: a, key: ${KEY} }`, 'x.yml').problems
  t.equal(problem?.lineText, `swarm: { topci: a, key: ${'*'.repeat(44)} }`)
  const [route] = checkConfigText(`eventRouting: { routes: [{ from: "'key: 42' &", into: a }] }`, 'x.yml').problems
  t.match(route?.lineText, /'key: 42' &/, 'tags stay as they are')
})

t.test('a key file lies beside the configuration and holds the key alone', async (t) => {
  const folder = t.testdir({ 'swarm.key': `${KEY}\n`, 'millrace.yml': 'swarm: { keyFile: swarm.key }\n', empty: '' })
  const file = join(folder, 'millrace.yml')
  t.equal(load({ file }).swarm.key, KEY)
  t.equal(load({ file, withSecrets: false }).swarm.key, undefined, 'commands for a running node do not need it')
  t.equal(load({ env: { MILLRACE_SWARM_KEY_FILE: join(folder, 'swarm.key') } }).swarm.key, KEY)
  t.equal(load({ file, env: { MILLRACE_SWARM_KEY_FILE: 'null' } }).swarm.key, undefined)

  writeFileSync(join(folder, 'long'), 'x'.repeat(2000))
  writeFileSync(join(folder, 'wrong'), `${KEY.slice(1)}\n`)
  const cases = [
    ['missing', /^1:10 cannot read the key file .*missing: there is no such file/],
    ['empty', /the key file holds no network key: it has 0 characters/],
    ['long', /too large/],
    ['wrong', /the key file holds no network key: it has 43 characters/],
    ['.', /it is a directory/],
  ] as const
  for (const [name, expected] of cases) {
    const found = problems(`swarm: { keyFile: ${join(folder, name)} }`)
    t.equal(found.length, 1)
    t.match(found[0], expected)
    t.notMatch(found[0], KEY.slice(1))
  }
  if (process.getuid?.() !== 0) {
    chmodSync(join(folder, 'swarm.key'), 0)
    t.match(problems(`swarm: { keyFile: ${folder}/swarm.key }`), [/permission denied/])
  }
  t.match(problems(`swarm:\n  key: ${KEY}\n  keyFile: x\n`), [/^3:3 swarm.key and swarm.keyFile are both set = /])
  t.throws(() => load({ file, env: { MILLRACE_SWARM_KEY: KEY } }), /both set/)
})

t.test('words of Actyx are answered with ours', async (t) => {
  const text = 'swarm: { initialPeers: [], announceAddresses: [], bootstrap: [], swarmKey: a, gossipInterval: 1 }'
  t.match(problems(text), [
    /initialPeers' = did you mean 'peers'\?/,
    /announceAddresses' = did you mean 'announce'\?/,
    /bootstrap' = did you mean 'peers'\?/,
    /swarmKey' = did you mean 'key'\?/,
    /gossipInterval' = did you mean 'headsInterval'\?/,
  ])
  t.match(problems('eventRouting: { streams: { a: { replication: false } } }'), [/did you mean 'replicate'/])
})

t.test('a malformed multiaddr is told with the part that is wrong', async (t) => {
  const cases = [
    ['192.168.1.2:4001', "is no multiaddr = did you mean '/ip4/192.168.1.2/tcp/4001'?"],
    ['gateway.local', "did you mean '/dns/gateway.local/tcp/4001'?"],
    ['"[::1]:7"', "did you mean '/ip6/::1/tcp/7'?"],
    ['/ipv4/1.2.3.4/tcp/1', "1:20 unknown kind of address 'ipv4' = did you mean 'ip4'?"],
    ['/ip4/1.2.3.400/tcp/1', "1:24 '1.2.3.400' is no IPv4 address"],
    ['/ip6/1.2.3.4/tcp/1', "1:24 '1.2.3.4' is no IPv6 address"],
    ['/dns/a b/tcp/1', "'a b' is no host name"],
    ['/ip4/1.2.3.4', "the port is missing = did you mean '/ip4/1.2.3.4/tcp/4001'?"],
    ['/ip4/1.2.3.4/tcp', '1:32 the port is missing'],
    ['/ip4/1.2.3.4/tcp/', '1:32 the port is missing'],
    ['/ip4/1.2.3.4/udp/1', "1:32 peers are reached over tcp only, not 'udp'"],
    ['/ip4/1.2.3.4/tcp/70000', "1:36 '70000' is no port = a number from 1 to 65535"],
    ['/ip4/1.2.3.4/tcp/0', "'0' is no port"],
    ['/ip4/1.2.3.4/tcp/01', "'01' is no port"],
    ['/ip4/1.2.3.4/tcp/1/', "a '/' too many at the end"],
    ['/ip4/1.2.3.4/tcp/1/ws', "1:38 'ws' cannot stand here"],
    ['/ip4/1.2.3.4/tcp/1/p2p/Qm', "1:42 'Qm' is no peer id of a node"],
    ['/ip4/1.2.3.4/tcp/1/p2p', 'the peer id is missing'],
    [`/ip4/1.2.3.4/tcp/1/p2p/${PEER}/x`, 'nothing may follow the peer id'],
    ['/ip4/0.0.0.0/tcp/1', 'cannot be dialled'],
    ['/', 'an address is missing'],
  ] as const
  for (const [address, expected] of cases) {
    const found = problems(`swarm: { peers: [ ${address} ] }`)
    t.equal(found.length, 1, address)
    t.ok(found[0]?.includes(expected), `${address}: ${found[0] ?? ''}`)
  }
  t.match(problems('swarm: { listen: [ /dns/a/tcp/1 ] }'), [/1:21 a node listens on IP addresses only/])
  t.match(problems(`swarm: { announce: [ /dns/a/tcp/1/p2p/${PEER} ] }`), [/an own address has no peer id/])
  t.match(problems(`swarm: { listen: [ /ip4/0.0.0.0/tcp/1/p2p/${PEER} ] }`), [/an own address has no peer id/])
})

t.test('what the settings take for a multiaddr, libp2p does too', async () => {
  const host = fc.oneof(
    fc.ipV4().map((ip) => `/ip4/${ip}`),
    fc.ipV6().map((ip) => `/ip6/${ip}`),
    fc.tuple(fc.constantFrom('dns', 'dns4', 'dns6'), fc.domain()).map(([kind, name]) => `/${kind}/${name}`),
  )
  const id = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => peerIdOfNode(encodeBase64(bytes)) ?? '')
  const peer = fc.option(id).map((text) => (text === null ? '' : `/p2p/${text}`))
  fc.assert(
    fc.property(host, fc.integer({ min: 0, max: 70_000 }), peer, (host, port, peer) => {
      const address = `${host}/tcp/${port}${peer}`
      if (problems(`swarm: { peers: ['${address}'] }`).length > 0) return
      multiaddr(address)
    }),
    { numRuns: 200 },
  )
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), (text) => {
      checkConfigText(JSON.stringify({ swarm: { peers: [`/${text}`], key: text, topic: text } }), 'x.yml')
    }),
  )
})

t.test('topics have 1 to 60 characters', async (t) => {
  t.match(problems('swarm: { topic: "" }'), [/empty text/])
  t.match(problems(`swarm: { topic: ${'x'.repeat(61)} }`), [/longer than 60 characters/])
  t.match(problems('swarm: { topic: "a\\u0007" }'), [/no control characters/])
  t.same(problems(`swarm: { topic: ${'x'.repeat(60)} }`), [])
})

t.test('what is wanted names streams or nodes', async (t) => {
  t.match(problems(`replication: { streams: [{ node: abc }, {}, a.b, 5] }`), [
    /'abc' is no node id/,
    /'node' is missing/,
    /'a.b' is no stream name/,
    /expected text or a map, found 5/,
  ])
  t.match(problems(`replication: { streams: ['${'a'.repeat(42)}.'] }`), [/^1:26 this is a node id = write \{ node: /])
  t.match(problems('replication: { keep: { a.b: {}, a: { maxBlockAge: 1s }, b: { replicate: false } } }'), [
    /'a.b' is no stream name/,
    /unknown key 'maxBlockAge'/,
    /unknown key 'replicate'/,
  ])
})

t.test('limits of replicas need no route, and do not stand for those of own streams', async (t) => {
  const text = 'replication: { keep: { a: { maxEvents: 1 } } }\neventRouting:\n  streams: { a: { maxEvents: 2 } }\n'
  t.match(checkConfigText(text, 'x.yml').warnings, [{ line: 3, reason: /no route leads to the stream 'a'/ }])
})

t.test('a peer id is the node id in another form', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const node = encodeBase64(bytes)
      const peer = peerIdOfNode(node) ?? ''
      t.equal(nodeIdOfPeer(peer), node)
      const theirs = peerIdFromString(peer)
      t.equal(theirs.type, 'Ed25519')
      t.same(theirs.toMultihash().digest.slice(4), bytes)
    }),
    { numRuns: 50 },
  )
  t.equal(peerIdOfNode('x'), undefined)
  for (const text of [
    '',
    '12D3KooW',
    PEER.slice(1),
    `${PEER}1`,
    PEER.replace(/.$/, '0'),
    `12D3KooW${'z'.repeat(44)}`,
  ]) {
    t.equal(nodeIdOfPeer(text), undefined, text)
  }
})

t.test('a new key is one that the settings take', async (t) => {
  t.equal(load({ env: { MILLRACE_SWARM_KEY: createNetworkKey() } }).swarm.key?.length, 44)
})
