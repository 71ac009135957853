import { createHash } from 'node:crypto'
import t from 'tap'
import { encodeBase64, type NodeId } from '../../core/index.js'
import { MemoryNetwork, VirtualTime, type MemoryTransport, type NetworkConditions } from '../../replication/index.js'
import { collect, listen, testConformance } from './conformance.js'

const nodeId = (at: number): NodeId => encodeBase64(createHash('sha256').update(`node ${at}`).digest())

/** Nodes that are all connected. */
async function swarm(nodes: number, seed = 1, conditions: Partial<NetworkConditions> = {}) {
  const network = new MemoryNetwork(seed, conditions)
  const transports = Array.from({ length: nodes }, (_, at) => network.join(nodeId(at)))
  await network.time.advance(100)
  return { network, time: network.time, transports }
}

const everyone = (transports: readonly MemoryTransport[]) =>
  transports.every((transport) => transport.connectedPeers().length === transports.length - 1)

t.test('the conformance tests of transports, in memory', (t) => {
  let time = new VirtualTime()
  testConformance(t, {
    swarm: async (_t, nodes) => {
      const made = await swarm(nodes)
      time = made.time
      return made.transports
    },
    until: async (what, holds) => {
      if (!(await time.advanceUntil(holds, 60_000))) throw new Error(`never: ${what}`)
    },
    during: async (promise) => {
      let settled = false
      const done = (): void => {
        settled = true
      }
      promise.then(done, done)
      await time.advanceUntil(() => settled, 120_000)
      return promise
    },
  })
  t.end()
})

/** Sends broadcasts from everywhere under bad conditions, with a partition in between; what each node heard, in order. */
async function troubled(seed: number): Promise<string[][]> {
  const { network, time, transports } = await swarm(8, seed, {
    delayMs: [1, 80],
    loss: 0.1,
    duplicate: 0.2,
    reorder: 0.5,
    detectMs: 2_000,
  })
  const heard = transports.map(listen)
  for (let round = 0; round < 30; round++) {
    const sender = transports[Math.floor(network.random.next() * transports.length)]
    void sender?.broadcast(Buffer.from(`round ${round}`))
    if (round === 10) network.partition([nodeId(0), nodeId(1), nodeId(2)])
    if (round === 20) network.heal()
    await time.advance(500)
  }
  await time.advance(20_000)
  return heard.map(({ texts }) => texts)
}

t.test('one seed gives one course of events, another seed another one', async (t) => {
  const first = await troubled(7)
  t.same(await troubled(7), first)
  t.notSame(await troubled(8), first)
  for (const texts of first) t.equal(new Set(texts).size, texts.length, 'duplicates are never heard')
})

t.test('100 nodes in one process: a broadcast costs each node a few messages, not a hundred', async (t) => {
  const { network, time, transports } = await swarm(100, 3, { delayMs: [1, 20] })
  t.ok(everyone(transports))
  const heard = transports.map(listen)
  for (let at = 0; at < 20; at++) {
    await transports[(at * 7) % 100]?.broadcast(Buffer.alloc(1000, at))
    await time.advance(5)
  }
  t.ok(await time.advanceUntil(() => heard.filter(({ texts }) => texts.length >= 19).length === 100, 5_000))
  for (const transport of transports) {
    const { sentMessages, sentBytes } = transport.counters()
    t.ok(sentMessages <= 20 * 12)
    t.equal(sentBytes, sentMessages * 1000)
  }
  network.kill(nodeId(5))
  await time.advance(100)
  t.ok(transports.every((transport, at) => at === 5 || !transport.connectedPeers().includes(nodeId(5))))
})

t.test('a partition stops everything, is noticed after a while, and is over after it healed', async (t) => {
  const { network, time, transports } = await swarm(4, 1, { detectMs: 5_000 })
  const heard = transports.map(listen)
  const [one, two, three] = transports
  network.partition([nodeId(0), nodeId(1)])
  await one!.broadcast(Buffer.from('in halves'))
  await time.advance(1_000)
  t.same(
    [1, 2, 3].map((at) => heard[at]!.texts.length),
    [1, 0, 0],
  )
  t.equal(three!.connectedPeers().length, 3, 'not noticed yet')
  await time.advance(5_000)
  t.equal(three!.connectedPeers().length, 1)
  t.match(two!.peers(), [
    { nodeId: nodeId(0), state: 'connected' },
    { nodeId: nodeId(2), state: 'waiting', failure: { reason: 'timeout' } },
    { nodeId: nodeId(3), state: 'waiting', failure: { reason: 'timeout' } },
  ])
  network.heal()
  t.ok(await time.advanceUntil(() => everyone(transports), 10_000))
  t.equal(heard[2]!.texts.length, 0, 'what was broadcast meanwhile is lost')
  await one!.broadcast(Buffer.from('whole again'))
  t.ok(await time.advanceUntil(() => heard.slice(1).every(({ texts }) => texts.includes('whole again')), 1_000))
})

t.test('a short interruption only delays, in order', async (t) => {
  const { network, time, transports } = await swarm(2)
  const [one, two] = transports
  const heard = listen(two!)
  two!.onRequest(async function* () {
    for (let at = 0; at < 5; at++) {
      yield Buffer.from(String(at))
      await new Promise<void>((resolve) => time.after(100, resolve))
    }
  })
  const answer = collect(one!.request(nodeId(1), Buffer.from('?'), { signal: new AbortController().signal }))
  await time.advance(150)
  network.partition([nodeId(0)])
  for (const text of ['a', 'b', 'c']) await one!.broadcast(Buffer.from(text))
  await time.advance(3_000)
  t.same(heard.texts, [])
  network.heal()
  await time.advance(1_000)
  t.same(heard.texts, ['a', 'b', 'c'])
  t.same(await answer, ['0', '1', '2', '3', '4'])
})

t.test('a node that died comes back under its name, and knows nothing', async (t) => {
  const { network, time, transports } = await swarm(3)
  network.kill(nodeId(1))
  await time.advance(50)
  t.same(
    transports.map((transport) => transport.connectedPeers().length),
    [1, 0, 1],
  )
  const again = network.join(nodeId(1), [])
  const heard = listen(again)
  t.ok(await time.advanceUntil(() => again.connectedPeers().length === 2, 10_000))
  await transports[0]!.broadcast(Buffer.from('welcome back'))
  t.ok(await time.advanceUntil(() => heard.texts.length === 1, 1_000))
})

t.test('a link of limited capacity slows down who waits and drops what nobody waits for', async (t) => {
  const { time, transports } = await swarm(2, 1, { bytesPerMs: 100 })
  const [one, two] = transports
  const heard = listen(two!)
  const before = time.monotonicMs()
  let done = false
  const patient = (async () => {
    for (let at = 0; at < 10; at++) await one!.broadcast(Buffer.alloc(100_000, at))
    done = true
  })()
  t.ok(await time.advanceUntil(() => done, 60_000))
  await patient
  t.ok(time.monotonicMs() - before > 8_000, 'a megabyte at 100 kB/s takes its time')
  await time.advance(5_000)
  t.equal(heard.texts.length, 10)
  for (let at = 0; at < 100; at++) void one!.broadcast(Buffer.alloc(100_000, 100 + at))
  await time.advance(120_000)
  t.ok(one!.counters().dropped > 40)
  t.equal(heard.texts.length, 110 - one!.counters().dropped)
})

t.test('whoever is cut comes back after a minute, and the next time after two', async (t) => {
  const { time, transports } = await swarm(2)
  const [one, two] = transports
  for (const minutes of [1, 2]) {
    one!.cut(nodeId(1), 'for a test')
    t.same(one!.connectedPeers(), [])
    await time.advance(minutes * 60_000 - 1)
    t.same(two!.connectedPeers(), [])
    t.ok(await time.advanceUntil(() => two!.connectedPeers().length === 1, 10_000))
  }
  one!.blame(nodeId(1), 60, 'a little')
  t.equal(one!.connectedPeers().length, 1)
  await time.advance(60_000)
  one!.blame(nodeId(1), 60, 'a little, later')
  t.equal(one!.connectedPeers().length, 1, 'blame fades')
  one!.blame(nodeId(1), 60, 'too much')
  t.match(one!.peers(), [{ state: 'cut', failure: { reason: 'misbehaved', message: 'too much' } }])
})

t.test('time stands still while work that is announced goes on', async (t) => {
  const time = new VirtualTime()
  const order: string[] = []
  time.after(10, () => {
    void time.hold(
      new Promise<void>((resolve) => {
        setTimeout(() => {
          order.push('work')
          resolve()
        }, 5)
      }),
    )
  })
  time.after(11, () => order.push('next timer'))
  const cancel = time.after(12, () => order.push('cancelled'))
  cancel()
  await time.advance(20)
  t.same(order, ['work', 'next timer'])
  t.equal(time.monotonicMs(), 20)
})
