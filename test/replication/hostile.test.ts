import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { MAX_BROADCAST_BYTES, SWARM_TIMINGS } from '../../replication/index.js'
import { collect, listen } from './conformance.js'
import { field, GOSSIP, gossipFrame, beginning, pieces, RawNode, rawSocket, SYNC } from './raw-node.js'
import { openNode, openSwarms, until } from './swarms.js'

/** Beyond what honest traffic needs in these tests, bytes. */
const MEMORY = 250 * 1024 * 1024

/** Two honest nodes whose traffic goes on all the time, and somebody hostile. */
async function bed(t: Test) {
  // A raw node answers no probes: it is not to be cut for that.
  const [one, two] = await openSwarms(t, 2, { timings: SWARM_TIMINGS })
  const heard = listen(two!)
  one!.onRequest(async function* () {
    yield Buffer.from('answer')
  })
  const raw = await RawNode.open(t)
  await raw.pretendToGossip()
  return { one: one!, two: two!, heard, raw, before: process.memoryUsage().rss }
}

type Bed = Awaited<ReturnType<typeof bed>>

/** The offender is cut, and everybody else goes on as if nothing had happened. */
async function isCut(t: Test, { one, two, heard, raw, before }: Bed, reason: RegExp): Promise<void> {
  const isGone = () => one.peers().some(({ nodeId, state }) => nodeId === raw.nodeId && state === 'cut')
  await until('the offender is cut', isGone, 5_000)
  t.match(one.peers().find(({ nodeId }) => nodeId === raw.nodeId)?.failure, { reason: 'misbehaved', message: reason })
  await until('its connection is gone', () => raw.host.getConnections().length === 0, 5_000)
  await goesOn(t, { one, two, heard })
  t.ok(process.memoryUsage().rss - before < MEMORY, 'memory is bounded')
  await t.rejects(
    raw.connect(one).then((connection) => raw.send(connection, SYNC, beginning())),
    'it does not come back',
  )
}

async function goesOn(t: Test, { one, two, heard }: Pick<Bed, 'one' | 'two' | 'heard'>): Promise<void> {
  const text = randomBytes(8).toString('hex')
  await one.broadcast(Buffer.from(text))
  await until('broadcasts go on', () => heard.texts.includes(text), 5_000)
  const answer = two.request(one.nodeId, Buffer.from('?'), { signal: AbortSignal.timeout(5_000) })
  t.same(await collect(answer), ['answer'])
}

t.test('a gossip frame above the limit cuts its sender, by its length alone', async (t) => {
  const made = await bed(t)
  const connection = await made.raw.connect(made.one)
  await made.raw.send(connection, GOSSIP, pieces(Buffer.from([0xff, 0xff, 0xff, 0x7f])))
  await isCut(t, made, /a frame of 268435455 bytes/)
})

t.test('a length that is none cuts its sender', async (t) => {
  const made = await bed(t)
  const connection = await made.raw.connect(made.one)
  await made.raw.send(connection, GOSSIP, pieces(Buffer.alloc(20, 0xff)))
  await isCut(t, made, /a frame of NaN bytes/)
})

t.test('100,000 subscriptions cut their sender', async (t) => {
  const made = await bed(t)
  const connection = await made.raw.connect(made.one)
  const subscriptions = Array.from({ length: 100_000 }, (_, at) =>
    field(1, Buffer.concat([Buffer.from([8, 1]), field(2, Buffer.from(`t${at}`))])),
  )
  const frames = Array.from({ length: 10 }, (_, at) =>
    gossipFrame(Buffer.concat(subscriptions.slice(at * 10_000, (at + 1) * 10_000))),
  )
  await made.raw.send(connection, GOSSIP, pieces(...frames))
  await isCut(t, made, /subscribes to too much/)
})

t.test('a flood of control messages cuts its sender', async (t) => {
  for (const kind of [1, 2, 3, 4, 5]) {
    const made = await bed(t)
    const connection = await made.raw.connect(made.one)
    const flood = gossipFrame(
      field(3, Buffer.concat(Array.from({ length: 20_000 }, () => field(kind, randomBytes(4))))),
    )
    await made.raw.send(connection, GOSSIP, pieces(...Array.from({ length: 20 }, () => flood)))
    await isCut(t, made, /control messages|no gossip/)
    await made.one.close()
    await made.two.close()
  }
})

t.test('garbage on the gossip stream cuts its sender', async (t) => {
  const made = await bed(t)
  const connection = await made.raw.connect(made.one)
  await made.raw.send(connection, GOSSIP, pieces(gossipFrame(Buffer.alloc(1000, 0xff))))
  await isCut(t, made, /no gossip/)
})

t.test('broadcasts above the limit, and broadcasts that nobody believes, cut their sender', async (t) => {
  const message = (data: Uint8Array) => gossipFrame(field(2, Buffer.concat([field(2, data), topic])))
  const topic = field(4, Buffer.from('/millrace/live/1/test'))
  const long = await bed(t)
  const big = Array.from({ length: 12 }, (_, at) => message(Buffer.alloc(MAX_BROADCAST_BYTES + 1, at)))
  await long.raw.send(await long.raw.connect(long.one), GOSSIP, pieces(...big))
  await isCut(t, long, /not valid/)
  const wrong = await bed(t)
  wrong.one.onBroadcast(async () => 'reject')
  const lies = Array.from({ length: 1000 }, () => message(randomBytes(100)))
  await wrong.raw.send(await wrong.raw.connect(wrong.one), GOSSIP, pieces(...lies))
  await isCut(t, wrong, /not valid/)
  t.ok(wrong.one.counters().rejected < 100, 'most of them were not even looked at')
})

t.test('garbage instead of requests cuts its sender', async (t) => {
  const made = await bed(t)
  const connection = await made.raw.connect(made.one)
  await made.raw.send(connection, SYNC, pieces(Buffer.alloc(100, 0xff)))
  await isCut(t, made, /no frame|a frame of/)
})

t.test('a request that promises gigabytes cuts its sender', async (t) => {
  const made = await bed(t)
  const connection = await made.raw.connect(made.one)
  await made.raw.send(connection, SYNC, pieces(Buffer.from([0x7f, 0xff, 0xff, 0xff, 4])))
  await isCut(t, made, /a frame of 2147483647 bytes/)
})

t.test('requests that are begun and never sent cut their sender, and take nobody the room', async (t) => {
  const made = await bed(t)
  const connection = await made.raw.connect(made.one)
  for (let at = 0; at < 100; at++) await made.raw.send(connection, SYNC, beginning()).catch(() => undefined)
  await goesOn(t, made)
  await isCut(t, made, /begins requests/)
})

t.test('answers that nobody reads take no more than a window each', async (t) => {
  const made = await bed(t)
  let sent = 0
  made.one.onRequest(async function* (peer) {
    if (peer === made.two.nodeId) yield Buffer.from('answer')
    else for (;;) yield Buffer.alloc(64 * 1024, sent++)
  })
  const connection = await made.raw.connect(made.one)
  const request = Buffer.from([0, 0, 0, 0, 4])
  for (let at = 0; at < 8; at++) await made.raw.send(connection, SYNC, pieces(request))
  await until('the windows are full', () => sent >= 8)
  await goesOn(t, made)
  t.ok(sent < 8 * 64, `${sent} pieces of 64 KiB were made`)
})

t.test('strangers who connect and say nothing, or nonsense, keep nobody out', async (t) => {
  const made = await bed(t)
  const sockets = await Promise.all(Array.from({ length: 40 }, () => rawSocket(t, made.one)))
  for (const socket of sockets.slice(20)) socket.write(randomBytes(100_000))
  await goesOn(t, made)
  const late = await openNode(t, { initialPeers: made.one.addresses() })
  await until('a friend gets in', () => late.connectedPeers().includes(made.one.nodeId))
  await until('the nonsense was cut off', () => sockets.slice(20).every(({ destroyed }) => destroyed), 10_000)
})

t.test('a peer that is connected and deaf is found out by probes; the link is opened anew', async (t) => {
  const node = await openNode(t)
  const raw = await RawNode.open(t)
  let streams = 0
  // It subscribes, as gossipsub would, and then reads without ever answering.
  await raw.host.handle(GOSSIP, ({ stream, connection }) => {
    streams++
    const subscription = Buffer.concat([Buffer.from([8, 1]), field(2, Buffer.from('/millrace/live/1/test'))])
    const say = async function* () {
      yield gossipFrame(field(1, subscription))
      yield* beginning()
    }
    void raw.send(connection, GOSSIP, say()).catch(() => undefined)
    void (async () => {
      for await (const _chunk of stream.source);
    })().catch(() => undefined)
  })
  const gone: string[] = []
  node.subscribe((event) => {
    if (event.kind === 'gone') gone.push(`${event.failure.reason}: ${event.failure.message}`)
  })
  await raw.connect(node)
  await until('it counts as connected', () => node.connectedPeers().includes(raw.nodeId))
  await until('the link was cut', () => gone.length > 0)
  t.match(gone[0], /^dead-link: connected, but broadcasts have not come through for \d+ s/)
  await until('the link was opened anew', () => streams > 1)
})
