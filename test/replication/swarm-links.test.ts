import { createServer, type Server, type Socket } from 'node:net'
import { randomBytes } from 'node:crypto'
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { Identity } from '../../storage/index.js'
import {
  createNetworkKey,
  openSwarm,
  parseNetworkKey,
  SWARM_TIMINGS,
  type PeerStatus,
  type Transport,
  type TransportEvent,
} from '../../replication/index.js'
import { backOffMs } from '../../replication/libp2p/back-off.js'
import { Dialer } from '../../replication/libp2p/dialer.js'
import { peerIdOf } from '../../replication/libp2p/peer-ids.js'
import { FaultProxy } from '../support/fault-proxy.js'
import { listen } from './conformance.js'
import { openNode, openSwarms, swarmOptions, timings, until } from './swarms.js'

const portOf = (transport: Transport) => /\/tcp\/(\d+)\//.exec(transport.addresses()[0]!)![1]!
const eventsOf = (transport: Transport) => {
  const events: TransportEvent[] = []
  transport.subscribe((event) => events.push(event))
  return events
}
const failureOf = (transport: Transport) => transport.peers()[0]?.failure
const waitingFor = async (transport: Transport): Promise<PeerStatus> => {
  await until('the attempt failed', () => failureOf(transport) !== undefined)
  return transport.peers()[0]!
}

/** Something that listens on loopback and is no node. */
async function tcpServer(t: Test, onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    onSocket(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as { port: number }).port
}

t.test('a network key is 44 characters of base64, exactly', (t) => {
  const key = createNetworkKey()
  t.equal(key.length, 44)
  t.equal(parseNetworkKey(key).length, 32)
  const text = Buffer.alloc(32, 0xff).toString('base64')
  for (const bad of ['', key.slice(1), `${key}=`, ` ${key}`, text.replaceAll('/', '_'), `${'/'.repeat(42)}+=`]) {
    t.throws(() => parseNetworkKey(bad), { code: 'ERR_SWARM_SETTING' }, JSON.stringify(bad))
  }
  t.end()
})

t.test('the pause between attempts doubles from 1 s to a limit, each a quarter longer or shorter', (t) => {
  const middle = [0, 1, 2, 3, 4, 5, 6, 7, 50].map((failures) => backOffMs(failures, 0.5, 60_000))
  t.same(
    middle,
    [1, 1, 2, 4, 8, 16, 32, 60, 60].map((seconds) => seconds * 1000),
  )
  t.same([backOffMs(2, 0, 60_000), backOffMs(2, 1, 60_000)], [1500, 2500])
  t.equal(backOffMs(50, 1, 4_000), 4_000)
  t.end()
})

t.test('who is expected back is dialled every few seconds, who was only heard of ever more rarely', async (t) => {
  const self = Identity.fromSeed(Buffer.alloc(32, 1)).nodeId
  const peer = Identity.fromSeed(Buffer.alloc(32, 2)).nodeId
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => {
    mock.timers.reset()
  })
  let nowMs = 0
  let attempts: number[] = []
  const dialled: string[] = []
  let takesMs = 0
  const gaps = () => attempts.slice(1).map((atMs, index) => atMs - attempts[index]!)
  const open = () =>
    new Dialer({
      self,
      dial: (address) => {
        attempts.push(nowMs)
        dialled.push(address.split('/')[2]!)
        nowMs += takesMs
        return Promise.reject(new Error('away'))
      },
      dialMs: 8_000,
      isConnected: () => false,
      isUnwanted: () => false,
      connections: () => 0,
      enough: 24,
      describe: () => ({ reason: 'timeout', message: 'away', atMicros: nowMs * 1000 }),
      onFailed: () => undefined,
      nowMicros: () => nowMs * 1000,
      nowMs: () => nowMs,
      random: () => 0.5,
    })
  const wait = async (seconds: number) => {
    for (let step = 0; step < seconds * 4; step++) {
      nowMs += 250
      mock.timers.tick(250)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const address = ['/ip4/192.0.2.1/tcp/4001']

  const configured = open()
  configured.add('configured', undefined, address)
  await wait(60)
  configured.close()
  t.ok(attempts.length > 14, 'configured')
  t.ok(Math.max(...gaps()) <= 4250, gaps().join())

  attempts = []
  const dialer = open()
  dialer.add('learnt', peer, address)
  await wait(100)
  t.ok(Math.max(...gaps()) > 30_000, gaps().join())
  const before = attempts.length
  dialer.add('learnt', peer, address)
  await wait(1)
  t.equal(attempts.length, before + 1, 'when others see it, it is dialled at once')
  await wait(400)
  t.same([...dialer.targets()], [], 'forgotten in the end')

  attempts = []
  dialer.add('incoming', peer, address)
  dialer.connected(peer, address[0])
  dialer.lost(peer, { reason: 'dead-link', message: '', atMicros: 0 })
  await wait(120)
  t.ok(attempts.length > 25 && Math.max(...gaps()) <= 4250, gaps().join())
  nowMs += 25 * 60 * 60 * 1000
  await wait(5)
  t.same([...dialer.targets()], [], 'forgotten after a day')

  takesMs = 4_000
  dialled.length = 0
  dialer.add(
    'learnt',
    peer,
    ['a', 'b', 'c'].map((name) => `/dns4/${name}/tcp/4001`),
  )
  await wait(10)
  t.same(
    dialled.slice(0, 4),
    ['a', 'b', 'c', 'a'],
    'addresses that take all the time do not keep others from their turn',
  )
  dialer.connected(peer, '/dns4/c/tcp/4001')
  dialled.length = 0
  dialer.lost(peer, { reason: 'dead-link', message: '', atMicros: 0 })
  await wait(10)
  t.same(
    [dialled[0], dialled[2], new Set(dialled)],
    ['c', 'c', new Set(['a', 'b', 'c'])],
    'the one that worked is always tried first',
  )
  dialer.close()
})

t.test('the peer id is the node id: the same key', async (t) => {
  const seed = randomBytes(32)
  const node = await openNode(t, { seed })
  t.equal(node.nodeId, Identity.fromSeed(seed).nodeId)
  t.match(node.addresses()[0], new RegExp(`/p2p/${peerIdOf(node.nodeId)!.toString()}$`))
})

t.test('malformed settings are refused before anything is opened', async (t) => {
  const bad = [
    { networkKey: 'short' },
    { initialPeers: ['192.168.1.2:4001'] },
    { initialPeers: ['/ip4/127.0.0.1/udp/4001'] },
    { initialPeers: ['/ip4/127.0.0.1/tcp/4001/ws'] },
    { listen: ['/ip4/127.0.0.1'] },
  ]
  for (const options of bad) {
    await t.rejects(openSwarm(swarmOptions(options)), { code: 'ERR_SWARM_SETTING' }, JSON.stringify(options))
  }
  const node = await openNode(t)
  const taken = openSwarm(swarmOptions({ listen: [`/ip4/127.0.0.1/tcp/${portOf(node)}`] }))
  await t.rejects(taken, { code: 'ERR_SWARM_LISTEN', message: /EADDRINUSE/ })
})

t.test('peers are found under any address: IPv4, IPv6, a name, with and without peer id', async (t) => {
  const node = await openNode(t, { listen: ['/ip4/127.0.0.1/tcp/0', '/ip6/::1/tcp/0'] })
  const peerId = peerIdOf(node.nodeId)!.toString()
  const ports = node.addresses().map((address) => /\/tcp\/(\d+)\//.exec(address)![1]!)
  const addresses = [
    `/ip4/127.0.0.1/tcp/${ports[0]}`,
    `/ip4/127.0.0.1/tcp/${ports[0]}/p2p/${peerId}`,
    `/dns4/localhost/tcp/${ports[0]}`,
    `/dns/localhost/tcp/${ports[0]}/p2p/${peerId}`,
    ...(ports[1] === undefined ? [] : [`/ip6/::1/tcp/${ports[1]}/p2p/${peerId}`]),
  ]
  for (const address of addresses) {
    const other = await openNode(t, { initialPeers: [address] })
    await until(`connected to ${address}`, () => other.connectedPeers().includes(node.nodeId))
    t.match(
      other.peers().find(({ nodeId }) => nodeId === node.nodeId),
      { source: 'configured', state: 'connected', direction: 'outbound', failures: 0 },
      address,
    )
    await other.close()
  }
})

t.test('a peer that fails is listed with the reason, and tried again', async (t) => {
  const free = await tcpServer(t, (socket) => socket.end())
  const node = await openNode(t)
  const cases: { name: string; peer: string; reason: string; message: RegExp }[] = [
    {
      name: 'nobody listens',
      peer: '/ip4/127.0.0.1/tcp/1',
      reason: 'refused',
      message: /^the peer at .*tcp\/1 is not listening/,
    },
    { name: 'it hangs up', peer: `/ip4/127.0.0.1/tcp/${free}`, reason: 'broken-off', message: /ended the connection/ },
    {
      name: 'another node is there',
      peer: `/ip4/127.0.0.1/tcp/${portOf(node)}/p2p/${peerIdOf(Identity.fromSeed(Buffer.alloc(32)).nodeId)!.toString()}`,
      reason: 'identity',
      message: /is another node than expected/,
    },
  ]
  for (const { name, peer, reason, message } of cases) {
    const other = await openNode(t, { initialPeers: [peer] })
    const events = eventsOf(other)
    t.match(await waitingFor(other), { source: 'configured', failure: { reason, message } }, name)
    await until('tried again', () => other.peers()[0]!.failures > 1)
    t.match(events[0], { kind: 'failed', failure: { reason } })
    await other.close()
  }
})

t.test('a wrong network key is called that on both sides, and blocks nobody', async (t) => {
  const node = await openNode(t)
  const seen = eventsOf(node)
  const stranger = await openNode(t, { networkKey: createNetworkKey(), initialPeers: node.addresses() })
  t.match(await waitingFor(stranger), { failure: { reason: 'network-key', message: /network key/ } })
  await until('the other side noticed', () => seen.length > 0)
  t.match(seen[0], {
    kind: 'failed',
    peer: undefined,
    failure: { reason: 'network-key', message: /another network key/ },
  })
  t.ok(node.counters().keyMismatches > 0)
  t.ok(stranger.counters().keyMismatches > 0)
  const friend = await openNode(t, { initialPeers: node.addresses() })
  await until('connected', () => friend.connectedPeers().length === 1)
  await until('connected there too', () => node.connectedPeers().includes(friend.nodeId))
})

t.test('a node without network key, and a service that is none, are told apart from a wrong key', async (t) => {
  const plain = await tcpServer(t, (socket) => socket.write('\x13/multistream/1.0.0\n'))
  const keyless = await openNode(t, { initialPeers: [`/ip4/127.0.0.1/tcp/${plain}`] })
  t.match(await waitingFor(keyless), { failure: { reason: 'network-key', message: /has no network key/ } })
  const mute = await tcpServer(t, () => undefined)
  const silent = await openNode(t, { initialPeers: [`/ip4/127.0.0.1/tcp/${mute}`] })
  t.match(await waitingFor(silent), { failure: { reason: 'network-key', message: /exchanges no network key/ } })
  const echo = await tcpServer(t, (socket) => socket.pipe(socket))
  const mirror = await openNode(t, { initialPeers: [`/ip4/127.0.0.1/tcp/${echo}`] })
  t.match(await waitingFor(mirror), { failure: { reason: 'network-key', message: /sends back/ } })
})

t.test('two nodes that dial each other at the same time end up with one link that works', async (t) => {
  for (let round = 0; round < 4; round++) {
    const seeds = [randomBytes(32), randomBytes(32)]
    // The addresses of both have to be known before both begin.
    const first = await Promise.all(seeds.map((seed) => openNode(t, { seed })))
    const addresses = first.map((node) => node.addresses()[0]!)
    await Promise.all(first.map((node) => node.close()))
    const listenOn = addresses.map((address) => address.replace(/\/p2p.*/, ''))
    // In every other round they do not know whom they dial.
    const dialled = round % 2 === 0 ? addresses : listenOn
    const [one, two] = await Promise.all(
      seeds.map((seed, at) => openNode(t, { seed, listen: [listenOn[at]!], initialPeers: [dialled[1 - at]!] })),
    )
    await until('connected', () => one!.connectedPeers().length === 1 && two!.connectedPeers().length === 1)
    const heard = [one!, two!].map(listen)
    const send = setInterval(() => {
      void one!.broadcast(randomBytes(8))
      void two!.broadcast(randomBytes(8))
    }, 50)
    t.teardown(() => {
      clearInterval(send)
    })
    await until('both are heard', () => heard.every(({ texts }) => texts.length > 3))
    clearInterval(send)
    await Promise.all([one!.close(), two!.close()])
    t.pass(`round ${round}`)
  }
})

t.test('a peer that went away is dialled again under its address, and heard again', async (t) => {
  const seed = randomBytes(32)
  const first = await openNode(t, { seed })
  const port = portOf(first)
  const node = await openNode(t, { initialPeers: first.addresses() })
  await until('connected', () => node.connectedPeers().length === 1)
  await first.close()
  await until('gone', () => node.connectedPeers().length === 0)
  t.match(node.peers(), [{ nodeId: first.nodeId, failure: { reason: 'broken-off' } }])
  const again = await openNode(t, { seed, listen: [`/ip4/127.0.0.1/tcp/${port}`] })
  await until('connected again', () => node.connectedPeers().length === 1 && again.connectedPeers().length === 1)
  const heard = listen(node)
  await again.broadcast(Buffer.from('back'))
  await until('heard', () => heard.texts.includes('back'))
})

t.test('a peer from which nothing comes is given up, and found on another way', async (t) => {
  const node = await openNode(t)
  const proxy = await FaultProxy.open(Number(portOf(node)))
  t.teardown(() => proxy.close())
  const options = { timings: { ...timings, probeMs: 1_000, patienceMs: 60_000, silenceMs: 1_000 } }
  const other = await openNode(t, { ...options, initialPeers: [`/ip4/127.0.0.1/tcp/${proxy.port}`] })
  await until('connected', () => other.connectedPeers().length === 1 && node.connectedPeers().length === 1)
  const events = eventsOf(other)
  proxy.set({ stalled: true })
  await until('connected again', () => events.some(({ kind }) => kind === 'connected'))
  t.match(events[0], { kind: 'gone', failure: { reason: 'dead-link', message: /^nothing has come from it for \d+ s/ } })
  const heard = listen(node)
  await other.broadcast(Buffer.from('back'))
  await until('heard', () => heard.texts.includes('back'))
})

t.test('a link on which nothing is said stays', async (t) => {
  const options = { timings: { ...timings, probeMs: 60_000, patienceMs: 60_000, silenceMs: 600 } }
  const [one, two] = await openSwarms(t, 2, options)
  const events = [one!, two!].map(eventsOf)
  await new Promise((resolve) => setTimeout(resolve, 3_000))
  t.same(events, [[], []])
})

t.test('whoever comes in without being configured is dialled back when the connection ends', async (t) => {
  const node = await openNode(t)
  const other = await openNode(t, { initialPeers: node.addresses() })
  await until('connected, address known', () =>
    node.peers().some(({ state, addresses }) => state === 'connected' && addresses.length > 0),
  )
  t.match(node.peers(), [{ nodeId: other.nodeId, source: 'incoming', direction: 'inbound' }])
})

t.test('nodes tell each other of peers: three that know only one all find each other', async (t) => {
  const nodes = await openSwarms(t, 4)
  for (const node of nodes) t.equal(node.connectedPeers().length, 3)
  t.ok(nodes.slice(1).some((node) => node.peers().some(({ source }) => source === 'learnt')))
})

t.test('a node that is full makes room: many that know only it all get in, and hear each other', async (t) => {
  const size = { enough: 3, lasting: 4, most: 6 }
  const options = { size, timings: { ...SWARM_TIMINGS, stayMs: 2_000 } }
  const first = await openNode(t, options)
  const initialPeers = first.addresses()
  const others = await Promise.all(Array.from({ length: 14 }, () => openNode(t, { ...options, initialPeers })))
  const heard = new Set<Transport>()
  for (const node of others) {
    node.onBroadcast(() => {
      heard.add(node)
      return Promise.resolve('accept')
    })
  }
  await until('all are connected', () => others.every((node) => node.connectedPeers().length > 0), 60_000)
  for (let message = 0; heard.size < others.length; message++) {
    await first.broadcast(Buffer.from(`message ${String(message)}`))
    const before = heard.size
    await until('somebody hears more', () => heard.size > before, 1_000).catch(() => undefined)
    if (message > 60) break
  }
  t.equal(heard.size, others.length, 'what one says all hear')
  await until('there is room again', () => first.connectedPeers().length <= size.lasting)
  t.ok(first.connectedPeers().length > 0)
})

t.test('links are probed: the round trip over the streams of broadcasts is known', async (t) => {
  const [one, two] = await openSwarms(t, 2)
  await until('probed', () => [one!, two!].every((node) => node.peers()[0]!.roundTripMs !== undefined))
  t.ok(one!.peers()[0]!.roundTripMs! >= 0)
})

t.test('different topics in one swarm: no broadcast goes from one to the other', async (t) => {
  const one = await openNode(t, { topic: 'one' })
  const two = await openNode(t, { topic: 'two', initialPeers: one.addresses() })
  const heard = listen(one)
  await until('they know of each other', () => two.peers()[0]?.nodeId === one.nodeId)
  await two.broadcast(Buffer.from('?'))
  const third = await openNode(t, { topic: 'one', initialPeers: one.addresses() })
  await until('connected', () => third.connectedPeers().includes(one.nodeId))
  await third.broadcast(Buffer.from('!'))
  await until('heard', () => heard.texts.length > 0)
  t.same(heard.texts, ['!'])
})

t.test('closing takes little time, also with connections, requests and attempts under way', async (t) => {
  const [one, two] = await openSwarms(t, 2)
  const third = await openNode(t, { initialPeers: ['/ip4/127.0.0.1/tcp/1'] })
  two!.onRequest(async function* (_peer, _request, signal) {
    yield new Uint8Array(1)
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
  })
  const answer = one!.request(two!.nodeId, new Uint8Array(), { signal: new AbortController().signal })
  const iterator = answer[Symbol.asyncIterator]()
  await iterator.next()
  const rest = t.rejects(iterator.next(), { code: 'ERR_SWARM_CLOSED' })
  await Promise.all([one!.close(), two!.close(), third.close()])
  await rest
  t.same(one!.connectedPeers(), [])
})
