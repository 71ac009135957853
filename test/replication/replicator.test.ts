import { cp } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { streamIdOf } from '../../core/index.js'
import {
  CorruptRecordError,
  DataDirectory,
  KEEP_EVERYTHING,
  renewIdentity,
  type SignedHead,
  type SignedStatement,
} from '../../storage/index.js'
import {
  decodeLive,
  decodeRequest,
  encodeAnswer,
  REPLICATE_ALL,
  systemTime,
  type SwarmTime,
  type SyncAnswer,
  type Transport,
} from '../../replication/index.js'
import { Comparer } from '../../replication/sync/comparer.js'
import { ForkNews } from '../../replication/sync/fork-news.js'
import { HeadDigester } from '../../replication/sync/head-digest.js'
import type { HeadIntake } from '../../replication/sync/head-intake.js'
import { Healer } from '../../replication/sync/healer.js'
import { LocalStreams } from '../../replication/sync/local-streams.js'
import { PeerBook } from '../../replication/sync/peer-book.js'
import { spoilBlocks } from '../support/block-damage.js'
import { Forger } from '../support/forgery.js'
import { openReplica, pullStream, TOPIC } from '../support/replica.js'
import { openSwarmNode, quiet, type SwarmNode, type SwarmNodeOptions } from '../support/swarm-node.js'
import { event, openTestStore, publish, readAll, until } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

/** Until all nodes hold the same and know of nothing more. */
async function converged(t: Test, nodes: readonly SwarmNode[]): Promise<void> {
  await until(() => {
    const [first, ...others] = nodes.map(({ store }) => JSON.stringify([...store.offsets()].sort()))
    return others.every((other) => other === first) && nodes.every((node) => node.replicator.toReplicate().size === 0)
  })
  const [first, ...others] = await Promise.all(nodes.map(({ store }) => readAll(store)))
  for (const other of others) t.same(other, first, 'and answer the same')
}

/** The same node after a restart. */
async function reopen(t: Test, node: SwarmNode, options: SwarmNodeOptions): Promise<SwarmNode> {
  await node.close()
  return openSwarmNode(t, { ...options, path: node.path })
}

async function publishSome(node: SwarmNode, count: number, from = 0): Promise<void> {
  for (let at = 0; at < count; at++) await publish(node.store, [event({ at: from + at })])
}

t.test('what one node publishes all others hold, in the same order', async (t) => {
  const first = await openSwarmNode(t)
  const others = [1, 2].map(() => openSwarmNode(t, { peers: first.transport.addresses() }))
  const nodes = [first, ...(await Promise.all(others))]
  await until(() => nodes.every(({ transport }) => transport.connectedPeers().length === 2))
  await Promise.all(nodes.map((node) => publishSome(node, 100)))
  await converged(t, nodes)
  t.equal(first.store.offsets().size, 3)
})

t.test('a node that comes later gets what was published before, blocks and tail', async (t) => {
  const first = await openSwarmNode(t)
  await publishSome(first, 200)
  const second = await openSwarmNode(t, { peers: first.transport.addresses() })
  await converged(t, [first, second])
  await publishSome(first, 50, 200)
  await converged(t, [first, second])
  t.ok(second.replicator.counters.fetchedEvents >= 200)
})

t.test('others give what an owner that is gone has written', async (t) => {
  const owner = await openSwarmNode(t)
  const second = await openSwarmNode(t, { peers: owner.transport.addresses() })
  await publishSome(owner, 300)
  await converged(t, [owner, second])
  await owner.close()
  const third = await openSwarmNode(t, { peers: second.transport.addresses() })
  await converged(t, [second, third])
  t.equal((await readAll(third.store)).length, 300)
})

t.test('a large stream is fetched from several peers at once', async (t) => {
  const first = await openSwarmNode(t, { store: { block: { maxEvents: 1024, maxBytes: 256 * 1024 } } })
  const second = await openSwarmNode(t, { peers: first.transport.addresses() })
  for (let at = 0; at < 60; at++)
    await publish(
      first.store,
      Array.from({ length: 500 }, (_, n) => event({ at, n })),
    )
  await converged(t, [first, second])
  const answered = [first, second].map(({ transport }) => transport.counters().answerBytesSent)
  const third = await openSwarmNode(t, { peers: [first, second].flatMap(({ transport }) => transport.addresses()) })
  await until(() => third.transport.connectedPeers().length === 2)
  await converged(t, [first, second, third])
  t.equal((await readAll(third.store)).length, 30_000)
  for (const [at, { transport }] of [first, second].entries()) {
    t.ok(transport.counters().answerBytesSent > (answered[at] ?? 0) + 10_000, 'both have given a part')
  }
})

t.test('what its owner keeps to itself goes nowhere', async (t) => {
  const policy = { isShared: (name: string) => name !== 'private' }
  const first = await openSwarmNode(t, { policy })
  const numbers = await first.store.registerStreams(['private'])
  await publish(first.store, [event(1, ['a'], numbers.get('private')), event(2)])
  const second = await openSwarmNode(t, { peers: first.transport.addresses() })
  await until(async () => (await readAll(second.store)).length > 0)
  await publish(first.store, [event(3, ['a'], numbers.get('private')), event(4)])
  await until(async () => (await readAll(second.store)).length > 1)
  t.same(
    (await readAll(second.store)).map(({ payload }) => payload),
    [2, 4],
  )
})

t.test('what a node keeps to itself goes nowhere after a new epoch and under a new identity either', async (t) => {
  const policy = { isShared: (name: string) => name !== 'private' }
  let first = await openSwarmNode(t, { policy })
  const { path } = first
  const register = async () => (await first.store.registerStreams(['private'])).get('private')
  await publish(first.store, [event('secret', ['a'], await register()), event(1)])
  await first.store.replicas.beginEpoch()
  await publish(first.store, [event('secret', ['a'], await register()), event(2)])
  await first.store.replicas.handOver()
  await first.close()
  const directory = await DataDirectory.open(path)
  await renewIdentity(directory)
  await directory.close()
  first = await openSwarmNode(t, { path, policy })
  await publish(first.store, [event('secret', ['a'], await register()), event(3)])
  const second = await openSwarmNode(t, { peers: first.transport.addresses() })
  await until(async () => (await readAll(second.store)).length > 2)
  await publish(first.store, [event('secret', ['a'], await register()), event(4)])
  await until(async () => (await readAll(second.store)).length > 3)
  t.same(
    (await readAll(second.store)).map(({ payload }) => payload),
    [1, 2, 3, 4],
    'all else does: what the former identity wrote, in both of its epochs',
  )
  t.same([...second.replicator.toReplicate()], [])
})

t.test('what its owner prunes goes from replicas too', async (t) => {
  const first = await openSwarmNode(t)
  const second = await openSwarmNode(t, { peers: first.transport.addresses() })
  await publishSome(first, 200)
  await converged(t, [first, second])
  first.store.setRetention(new Map([['default', { ...KEEP_EVERYTHING, maxEvents: 20 }]]))
  await until(async () => (await readAll(second.store)).length < 60)
  await converged(t, [first, second])
})

t.test(
  'what its owner prunes of an earlier epoch goes from replicas too, and who comes later misses nothing',
  async (t) => {
    const first = await openSwarmNode(t)
    const second = await openSwarmNode(t, { peers: first.transport.addresses() })
    await publishSome(first, 200)
    await converged(t, [first, second])
    await first.store.replicas.beginEpoch()
    await publishSome(first, 10, 200)
    first.store.setRetention(new Map([['default', { ...KEEP_EVERYTHING, maxEvents: 20 }]]))
    await until(async () => (await readAll(second.store)).length < 70)
    await converged(t, [first, second])
    const third = await openSwarmNode(t, { peers: [first, second].flatMap(({ transport }) => transport.addresses()) })
    await converged(t, [first, second, third])
    t.same(third.replicator.stuck(), [])
  },
)

t.test('a node keeps less than the owner when it is told to, and others are not held back by it', async (t) => {
  const owner = await openSwarmNode(t)
  const limitsOf = () => ({ ...KEEP_EVERYTHING, maxEvents: 20 })
  const small = await openSwarmNode(t, { peers: owner.transport.addresses(), policy: { limitsOf } })
  await until(() => small.transport.connectedPeers().length === 1)
  await publishSome(owner, 200)
  await until(async () => {
    const held = await readAll(small.store)
    return held.length < 60 && held.at(-1)?.offset === 199
  })
  t.equal((await readAll(owner.store)).length, 200)
  const third = await openSwarmNode(t, { peers: [owner, small].flatMap(({ transport }) => transport.addresses()) })
  await until(async () => (await readAll(third.store)).length === 200)
  t.same(third.replicator.stuck(), [])
})

t.test('what nobody connected has is told as a gap, until somebody comes who has it', async (t) => {
  const owner = await openSwarmNode(t)
  const limitsOf = () => ({ ...KEEP_EVERYTHING, maxEvents: 20 })
  const small = await openSwarmNode(t, { peers: owner.transport.addresses(), policy: { limitsOf } })
  await publishSome(owner, 200)
  await until(async () => {
    const held = await readAll(small.store)
    return held.length < 60 && held.at(-1)?.offset === 199
  })
  await owner.close()
  const third = await openSwarmNode(t, { peers: small.transport.addresses() })
  await until(() => third.replicator.stuck().length === 1)
  t.match(third.replicator.stuck(), [{ from: 0, to: 200 }])
  const back = await openSwarmNode(t, { path: owner.path, peers: small.transport.addresses() })
  await until(async () => (await readAll(third.store)).length === 200)
  t.same(third.replicator.stuck(), [])
  t.equal((await readAll(back.store)).length, 200)
})

t.test('signed blocks beyond the newest head that anybody has left are fetched', async (t) => {
  const owner = await openTestStore(temporaryDirectory(t))
  t.teardown(() => owner.close())
  const [holder, other] = [await openSwarmNode(t), await openSwarmNode(t)]
  const stream = streamIdOf(owner.store.nodeId, 0)
  await publish(owner.store, [event('first')])
  const head = await owner.store.replicas.signHead(stream)
  for (const { store } of [holder, other]) {
    t.equal((await store.replicas.saveHead(head!)).kind, 'ahead')
    await pullStream(owner.store, store, stream)
  }
  for (let at = 1; at < 32; at++) await publish(owner.store, [event({ at })])
  await until(async () => (await owner.store.streams()).every(({ tailEvents }) => tailEvents === 0))
  await holder.store.replicas.applySeals(await owner.store.replicas.readSeals(stream, 0, 10))
  for (const from of [1, 16]) {
    const piece = await owner.store.replicas.read(stream, from, 1)
    if (piece?.kind === 'block') await holder.store.replicas.applyBlock(piece.bytes)
  }
  t.equal(holder.store.replicas.status(stream)?.nextOffset, 32)
  t.equal(holder.store.replicas.status(stream)?.head?.nextOffset, 1)
  const back = await reopen(t, other, { peers: holder.transport.addresses() })
  await until(() => back.store.replicas.status(stream)?.nextOffset === 32)
  await converged(t, [holder, back])
})

t.test('no more streams are taken of others than the policy allows', async (t) => {
  const first = await openSwarmNode(t)
  const names = ['a', 'b', 'c', 'd']
  const numbers = await first.store.registerStreams(names)
  for (const name of names) await publish(first.store, [event(name, ['a'], numbers.get(name))])
  const second = await openSwarmNode(t, { peers: first.transport.addresses(), policy: { maxStreamsPerNode: 2 } })
  await until(async () => (await readAll(second.store)).length === 2)
  await until(() => second.replicator.refusedStreams > 0)
  t.equal((await readAll(second.store)).length, 2)
})

t.test('a fork that one node has found is told to all, to the owner too, and to who comes later', async (t) => {
  const paths = [temporaryDirectory(t), temporaryDirectory(t)] as const
  const first = await openSwarmNode(t, { path: paths[0] })
  await publishSome(first, 20)
  await first.close()
  await cp(paths[0], paths[1], { recursive: true })
  const owner = await openSwarmNode(t, { path: paths[0] })
  const witness = await openSwarmNode(t, { peers: owner.transport.addresses() })
  const idle = await openSwarmNode(t, { peers: witness.transport.addresses() })
  await publish(owner.store, [event('one')])
  await converged(t, [owner, witness, idle])
  const stream = streamIdOf(owner.store.nodeId, 0)
  const copy = await openTestStore(paths[1])
  await publish(copy.store, [event('other')])
  const head = await copy.store.replicas.signHead(stream)
  await copy.close()
  await witness.store.replicas.saveHead(head!)
  for (const node of [witness, idle, owner]) {
    await until(() => node.replicator.forks().length === 1)
    t.match(node.replicator.forks(), [{ stream, offset: 21, statements: [{}, {}] }])
  }
  t.match(owner.store.health, { writable: false, problems: [/key is in use elsewhere/] })
  await t.rejects(publish(owner.store, [event('no')]), { code: 'ERR_STORE_READ_ONLY' })
  await owner.close()
  const late = await openSwarmNode(t, { peers: idle.transport.addresses() })
  await until(() => late.replicator.forks().length === 1)
  await until(async () => (await readAll(late.store)).length >= 20)
  for (const node of [witness, idle, late]) {
    t.same(
      node.transport.peers().filter(({ state }) => state === 'cut'),
      [],
      'nobody is blamed for it',
    )
  }
})

/** News of forks over a transport that only notes what goes out. */
async function openForkNews(t: Test) {
  const { store } = await openReplica(t)
  const sent: SyncAnswer[] = []
  const blamed: string[] = []
  let nowMs = 0
  const time: SwarmTime = { ...systemTime(), monotonicMs: () => nowMs, after: () => () => undefined }
  let answers: readonly Uint8Array[] = []
  const requests: Uint8Array[] = []
  const transport = {
    connectedPeers: () => ['peer'],
    broadcast: async (bytes: Uint8Array) => sent.push(decodeLive(bytes) as SyncAnswer),
    blame: (_peer: string, _points: number, reason: string) => blamed.push(reason),
    async *request(_peer: string, bytes: Uint8Array) {
      requests.push(bytes)
      yield* answers
    },
  } as unknown as Transport
  const policy = REPLICATE_ALL
  const local = new LocalStreams({
    nodeId: store.nodeId,
    topic: TOPIC,
    store: store.replicas,
    time,
    policy,
    isConnected: () => true,
  })
  const news = new ForkNews({ local, transport, time, logger: quiet, onAhead: () => undefined })
  store.replicas.watch({
    frozen: (proof) => {
      news.found(proof)
    },
  })
  return {
    store,
    news,
    sent,
    blamed,
    requests,
    wait: (ms: number) => (nowMs += ms),
    answerWith: (list: readonly SyncAnswer[]) => (answers = list.map(encodeAnswer)),
  }
}

/** Two heads of one place, of a stream that somebody makes up. */
async function forgedFork(number: number): Promise<{ head: SignedHead; statements: SignedStatement[] }> {
  const forger = new Forger(Buffer.alloc(32, 5), TOPIC)
  const stream = forger.stream(number)
  const heads = [
    await forger.head({ stream, nextOffset: 5 }),
    await forger.head({ stream, nextOffset: 5, hash: Buffer.alloc(32, 1) }),
  ] as const
  return { head: heads[0], statements: heads.map((head) => forger.statementOf(head)) }
}

t.test('a fork is passed on once, forged ones are blamed, and those of unheard streams are dropped', async (t) => {
  const { store, news, sent, blamed } = await openForkNews(t)
  const { head, statements } = await forgedFork(1)
  t.equal(await news.receive(statements, 'peer'), 'ignore', 'nobody has told of the stream')
  t.same(store.replicas.forks(), [])
  await store.replicas.saveHead(head)
  t.equal(await news.receive(statements, 'peer'), 'accept')
  t.equal(await news.receive(statements, 'peer'), 'ignore')
  t.equal(await news.receive(statements.toReversed(), 'other'), 'ignore')
  t.equal(store.replicas.forks().length, 1)
  t.same(sent, [], 'what came by broadcast goes on by itself')
  const other = await forgedFork(2)
  await store.replicas.saveHead(other.head)
  const [one] = other.statements
  t.equal(await news.receive([one!, { ...one!, signature: statements[0]!.signature }], 'peer'), 'reject')
  t.equal(await news.receive([one!, statements[0]!], 'peer'), 'reject', 'two streams')
  t.equal(await news.receive([{ bytes: Buffer.from('?'), signature: Buffer.alloc(64) }], 'peer'), 'reject')
  t.equal(await news.receive([one!], 'peer'), 'ignore', 'what contradicts nothing')
  t.equal(blamed.length, 2)
  t.equal(store.replicas.forks().length, 1)
})

t.test(
  'however many forks there are, few are broadcast and looked at at a time; the rest is told to who asks',
  async (t) => {
    const { store, news, sent, requests, wait, answerWith } = await openForkNews(t)
    const forks = await Promise.all(Array.from({ length: 600 }, (_, at) => forgedFork(at)))
    for (const { head } of forks) await store.replicas.saveHead(head)
    for (const { statements } of forks.slice(0, 50)) await store.replicas.takeFork(statements)
    t.equal(sent.length, 32)
    t.equal([...news.answer([])].length, 50)
    const verdicts: string[] = []
    for (const { statements } of forks.slice(50)) verdicts.push(await news.receive(statements, 'peer'))
    t.equal(verdicts.filter((verdict) => verdict === 'accept').length, 512)
    t.equal(sent.length, 32)

    answerWith(forks.map(({ statements }) => ({ kind: 'fork', statements })))
    await news.ask('peer')
    t.equal(store.replicas.forks().length, 600)
    t.match(decodeRequest(requests[0]!), { kind: 'forks', known: { length: 562 } })
    await news.ask('peer')
    t.equal(requests.length, 1, 'not at once again')
    answerWith([{ kind: 'fork', statements: forks[0]!.statements.slice(0, 1) }])
    for (let round = 0; round < 30; round++) {
      wait(10_000)
      await news.ask('peer')
    }
    t.ok(requests.length < 10, 'whose answers prove nothing is asked ever more rarely')
    await news.close()
    wait(1_000_000)
    await news.ask('peer')
    t.ok(requests.length < 10)
  },
)

t.test('a comparison that breaks off with its connection is made again before the next round', async (t) => {
  const timers: (() => void)[] = []
  const time: SwarmTime = {
    ...systemTime(),
    after: (_ms, run) => {
      timers.push(run)
      return () => timers.splice(timers.indexOf(run), timers.includes(run) ? 1 : 0)
    },
  }
  let requests = 0
  const transport = {
    async *request() {
      if (++requests < 3) throw new Error('the connection ended')
      yield encodeAnswer({ kind: 'same' })
    },
  } as unknown as Transport
  const local = { shared: () => [], takeChanged: () => [] } as unknown as LocalStreams
  const peers = new PeerBook()
  peers.connected('peer')
  const intake = {} as unknown as HeadIntake
  const comparer = new Comparer({
    local,
    transport,
    digester: new HeadDigester(local),
    peers,
    intake,
    time,
    onDifference: () => undefined,
  })
  await comparer.compare('peer')
  while (timers.length > 0) {
    timers.shift()?.()
    await comparer.compare('peer', Infinity)
  }
  t.equal(requests, 3)
  t.ok(peers.get('peer')?.comparedMicros !== undefined)
  requests = 0
  peers.gone('peer')
  await comparer.compare('peer')
  t.same(timers, [], 'who is gone is not asked again')
})

t.test('damaged blocks, own ones too, are fetched from a node that comes later', async (t) => {
  const first = await openSwarmNode(t)
  const second = await openSwarmNode(t, { peers: first.transport.addresses() })
  await Promise.all([first, second].map((node) => publishSome(node, 100)))
  await converged(t, [first, second])
  for (const { store } of [first, second]) {
    await until(async () => (await store.streams()).every(({ tailEvents }) => tailEvents < 16))
  }
  const expected = await readAll(second.store)
  await first.close()
  await second.close()
  const blocks = await spoilBlocks(first.path, 'test', (_, part) => (part === 2 ? 'flip' : undefined))
  t.ok(blocks >= 12)
  const spoiled = await openSwarmNode(t, { path: first.path })
  await t.rejects(readAll(spoiled.store), CorruptRecordError)
  t.ok(spoiled.store.replicas.damagedBlocks().length > 0)
  const lines = spoiled.store.check(new AbortController().signal)
  while ((await lines.next()).done !== true) continue
  t.equal(spoiled.store.replicas.damagedBlocks().length, blocks)
  t.equal(spoiled.store.problems().length, 2, 'one of each stream')
  const whole = await openSwarmNode(t, { path: second.path, peers: spoiled.transport.addresses() })
  await until(() => spoiled.store.replicas.damagedBlocks().length === 0)
  t.same(spoiled.store.problems(), [])
  t.same(await readAll(spoiled.store), expected)
  t.equal(spoiled.store.metrics().healedBlocks, blocks)
  await converged(t, [spoiled, whole])
})

t.test('who gives something else than the damaged block does no harm, and the next one is asked', async (t) => {
  const whole = await openTestStore(temporaryDirectory(t))
  t.teardown(() => whole.close())
  for (let at = 0; at < 64; at++) await publish(whole.store, [event({ at })])
  await until(async () => (await whole.store.streams()).every(({ tailEvents }) => tailEvents === 0))
  const path = temporaryDirectory(t)
  await whole.close()
  await cp(whole.directory.path, path, { recursive: true })
  t.equal(await spoilBlocks(path, 'test', (block, part) => (block === 1 && part === 2 ? 'flip' : undefined)), 1)
  const [right, spoiled] = [await openTestStore(whole.directory.path), await openTestStore(path)]
  t.teardown(() => Promise.all([right.close(), spoiled.close()]))
  await t.rejects(readAll(spoiled.store), CorruptRecordError)

  const asked: string[] = []
  const blamed: string[] = []
  const transport = {
    nodeId: 'us',
    connectedPeers: () => ['silent', 'forger', 'other', 'broken', 'honest'],
    blame: (peer: string) => blamed.push(peer),
    async *request(peer: string, bytes: Uint8Array) {
      asked.push(peer)
      const request = decodeRequest(bytes)
      if (peer === 'broken') throw new Error('the connection ended')
      if (peer === 'silent' || request?.kind !== 'fetch') return
      const piece = await right.store.replicas.read(request.stream, peer === 'other' ? 0 : request.from, 1)
      if (piece?.kind !== 'block') throw new Error('it is sealed')
      const copy = Buffer.from(piece.bytes)
      if (peer === 'forger') copy[copy.length - 9]! ^= 1
      yield encodeAnswer({ ...piece, bytes: copy })
    },
  } as unknown as Transport
  const time = systemTime()
  const [store, nodeId] = [spoiled.store.replicas, 'us']
  const local = new LocalStreams({ store, nodeId, topic: 'test', time, policy: REPLICATE_ALL, isConnected: () => true })
  const healer = new Healer({ local, transport, peers: new PeerBook(), time, logger: quiet })
  healer.consider()
  healer.consider()
  await until(() => store.damagedBlocks().length === 0)
  await healer.close()
  t.same(asked, ['silent', 'forger', 'other', 'broken', 'honest'])
  t.same(blamed, ['forger'])
  t.equal((await readAll(spoiled.store)).length, 64)
})

t.test('a block that nobody has is asked for ever more rarely, and at once of who connects', async (t) => {
  let [nowMs, asked] = [0, 0]
  const transport = {
    connectedPeers: () => ['peer'],
    // eslint-disable-next-line require-yield
    async *request() {
      asked++
      await Promise.resolve()
    },
  } as unknown as Transport
  const stream = new Forger(Buffer.alloc(32, 5), TOPIC).stream()
  const local = { damagedBlocks: () => [{ stream, offset: 0 }] } as unknown as LocalStreams
  const time = { ...systemTime(), monotonicMs: () => nowMs }
  const healer = new Healer({ local, transport, peers: new PeerBook(), time, logger: quiet })
  for (; nowMs < 3_600_000; nowMs += 1000) {
    healer.consider()
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.ok(asked >= 10 && asked < 25, `${String(asked)} times in an hour`)
  const before = asked
  healer.connected()
  await until(() => asked === before + 1)
  await healer.close()
  healer.connected()
  t.equal(asked, before + 1)
})
