import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { WebSocket } from 'ws'
import {
  Client,
  fetchTransport,
  OutcomeUnknownError,
  type EventLine,
  type MonotonicLine,
  type SubscribeLine,
  type Subscription,
  type SubscriptionState,
  type Transport,
} from '../../client/index.js'
import { nodeTransport } from '../../client/node.js'
import { Collector } from '../support/collector.js'
import { DaemonProcess } from '../support/daemon.js'
import { FaultProxy } from '../support/fault-proxy.js'
import { withPlatformSocket } from '../support/platform-socket.js'
import { openReplica, pull } from '../support/replica.js'
import { serveStore } from '../support/served-store.js'
import { event, publish, until } from '../support/store.js'

const manifest = { appId: 'com.example.follow', displayName: 'test of the client', version: '1' }
const retry = { firstMs: 20, longestMs: 200 }

const daemon = await DaemonProcess.start()
t.teardown(() => daemon.close())

interface Teardown {
  teardown(work: () => unknown): void
}

function open(t: Teardown, transport: Transport = nodeTransport({ url: daemon.url })): Client {
  const client = new Client(transport, manifest)
  t.teardown(() => {
    client.close()
  })
  return client
}

/** Reads a subscription into a collector until it ends. */
function read<Line>(subscription: Subscription<Line>): { lines: Collector<Line>; ended: Promise<void> } {
  const lines = new Collector<Line>()
  const ended = (async () => {
    for await (const line of subscription) lines.push(line)
  })()
  ended.catch(lines.fail)
  return { lines, ended }
}

/** Over HTTP; tells how many bytes of answers were taken. */
function countingTransport(onBytes: (bytes: number) => void): Transport {
  const transport = nodeTransport({ url: daemon.url })
  async function* counted(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      onBytes(chunk.length)
      yield chunk
    }
  }
  return {
    ...transport,
    async request(request) {
      const { status, body } = await transport.request(request)
      return { status, body: counted(body) }
    },
  }
}

const numbersOf = (lines: readonly SubscribeLine[]): number[] =>
  lines.flatMap((line) => (line.type === 'event' ? [line.payload as number] : []))

const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n)

/** Publishes 0 to `count` - 1, one at a time, whatever becomes of the node: what may have been stored is looked for first. */
async function publishAll(client: Client, tag: string, count: number, onEach: (n: number) => Promise<void>) {
  for (let n = 0; n < count; n++) {
    await onEach(n)
    for (;;) {
      try {
        await client.publish([{ tags: [tag], payload: n }])
        break
      } catch (error) {
        if (error instanceof OutcomeUnknownError && (await isStored(client, tag, n))) break
        await new Promise(setImmediate)
      }
    }
  }
}

async function isStored(client: Client, tag: string, n: number): Promise<boolean> {
  for (;;) {
    try {
      for await (const line of client.query(`FROM '${tag}' FILTER _ = ${n}`)) if (line.type === 'event') return true
      return false
    } catch {
      await new Promise(setImmediate)
    }
  }
}

for (const webSocket of [false, true]) {
  const way = webSocket ? 'a WebSocket' : 'HTTP'

  t.test(`a node that is killed and started again costs no event and repeats none, over ${way}`, async (t) => {
    const tag = `killed over ${way}`
    const stop = new AbortController()
    const states: SubscriptionState['state'][] = []
    const countOf = (wanted: string): number => states.filter((state) => state === wanted).length
    const client = open(t, nodeTransport({ url: daemon.url }, { webSocket }))
    const subscriptions = ['subscribe', 'subscribeMonotonic'].map((kind) => {
      const onState = ({ state }: SubscriptionState) => states.push(state)
      const options = { signal: stop.signal, retry, onState }
      return kind === 'subscribe'
        ? client.subscribe(`FROM '${tag}'`, options)
        : client.subscribeMonotonic(`FROM '${tag}'`, options)
    })
    const readings = subscriptions.map((one) =>
      read<SubscribeLine | MonotonicLine>(one as Subscription<SubscribeLine | MonotonicLine>),
    )
    const publisher = open(t)
    await publishAll(publisher, tag, 60, async (n) => {
      if (n % 30 !== 15) return
      const returns = n === 15 ? 2 : 4
      while (countOf('live') < returns) await new Promise(setImmediate)
      await daemon.kill()
      await daemon.startAgain()
    })
    for (const [index, { lines }] of readings.entries()) {
      await lines.until((items) => items.some((line) => line.type === 'event' && line.payload === 59))
      const kind = index === 0 ? 'subscribe' : 'subscribeMonotonic'
      t.same(numbersOf(lines.items as SubscribeLine[]), upTo(60), `${kind}: all, once, in order`)
    }
    stop.abort()
    await Promise.all(readings.map(({ ended }) => ended))
    t.ok(countOf('waiting') >= 4, 'each break was told')
    t.ok(countOf('live') >= 6, 'and each return')
    const [stream, offset] = Object.entries(subscriptions[0]!.offsets)[0]!
    t.equal((await publisher.offsets()).present[stream], offset, 'it knows how far it got')
    const later = read(client.subscribe(`FROM '${tag}'`, { lowerBound: subscriptions[0]!.offsets }))
    await later.lines.until((items) => items.at(-1)?.type === 'offsets')
    t.same(numbersOf(later.lines.items), [], 'another subscription goes on from there')
  })

  t.test(`a connection that breaks again and again while much is delivered loses nothing, over ${way}`, async (t) => {
    const tag = `broken over ${way}`
    const filler = 'x'.repeat(3000)
    const publisher = open(t)
    for (let from = 0; from < 2000; from += 500) {
      await publisher.publish(upTo(500).map((n) => ({ tags: [tag], payload: { n: from + n, filler } })))
    }
    await using proxy = await FaultProxy.open(daemon.port)
    const client = open(t, nodeTransport({ url: `http://127.0.0.1:${proxy.port}` }, { webSocket }))
    const stop = new AbortController()
    const got: number[] = []
    let breaks = 0
    const onState = ({ state }: SubscriptionState) => (breaks += state === 'waiting' ? 1 : 0)
    const options = { signal: stop.signal, retry: { firstMs: 1, longestMs: 2 }, onState }
    for await (const line of client.subscribe<{ n: number }>(`FROM '${tag}'`, options)) {
      if (line.type === 'event') got.push(line.payload.n)
      if (got.length % 301 === 300) {
        proxy.reset()
        await new Promise(setImmediate)
      }
      if (got.length === 2000) stop.abort()
    }
    t.same(got, upTo(2000))
    t.ok(breaks > 0, `it broke ${breaks} times`)
  })

  t.test(`a slow reader slows the node, and memory stays bounded, over ${way}`, async (t) => {
    const tag = `slow over ${way}`
    const filler = 'x'.repeat(50_000)
    const publisher = open(t)
    for (let from = 0; from < 400; from += 50) {
      await publisher.publish(upTo(50).map((n) => ({ tags: [tag], payload: { n: from + n, filler } })))
    }
    let arrived = 0
    const seen = { cancel: false }
    class Watched extends WebSocket {
      override send(text: string): void {
        if (text.startsWith('{"type":"cancel"')) seen.cancel = true
        super.send(text)
      }
    }
    const transport = webSocket
      ? withPlatformSocket(Watched, () => fetchTransport(daemon.url, { webSocket }))
      : countingTransport((bytes) => (arrived += bytes))
    const got: number[] = []
    let connections = 0
    const onState = ({ state }: SubscriptionState) => (connections += state === 'connecting' ? 1 : 0)
    for await (const line of open(t, transport).subscribe<{ n: number }>(`FROM '${tag}'`, { onState })) {
      if (line.type === 'offsets') break
      if (line.type === 'event') got.push(line.payload.n)
      if (got.length > 1) continue
      // 20 MB are there; the reader takes its time with the first event.
      for (let turn = 0; turn < 500 || (webSocket && !seen.cancel); turn++) await new Promise(setImmediate)
      t.ok(arrived < 1e6, 'only what is asked for arrives')
    }
    t.same(got, upTo(400), 'everything comes in the end, once')
    if (webSocket) t.ok(connections > 1, 'what waited was bounded: the rest was asked for again')
    else t.equal(connections, 1)
  })

  t.test(`refused queries are errors and not tried again, over ${way}`, async (t) => {
    const client = open(t, nodeTransport({ url: daemon.url }, { webSocket }))
    const states: string[] = []
    const onState = ({ state }: SubscriptionState) => states.push(state)
    const refused = read(client.subscribe('FROM x', { onState }))
    await t.rejects(refused.ended, { code: 'ERR_REQUEST_REFUSED', status: 400, message: /1:6/ })
    t.same(states, ['connecting'])
    const limited = read(client.subscribeMonotonic('FROM allEvents LIMIT 1', { onState }))
    await t.rejects(limited.ended, { code: 'ERR_REQUEST_REFUSED', status: 418 })
    const stream = `${await client.nodeId()}-0`
    const beyond = read(client.subscribeMonotonic('FROM allEvents', { lowerBound: { [stream]: 1e9 } }))
    await t.rejects(beyond.ended, { status: 400, message: /out of range/ })
  })

  t.test(`a subscription outlives its token, over ${way}`, async (t) => {
    const client = open(t, nodeTransport({ url: daemon.url }, { webSocket }))
    const tag = `token over ${way}`
    const stop = new AbortController()
    const { lines, ended } = read(client.subscribe(`FROM '${tag}'`, { retry, signal: stop.signal }))
    await lines.until((items) => items.some(({ type }) => type === 'offsets'))
    await daemon.stop()
    const keys = join(daemon.data, 'token.key')
    writeFileSync(keys, Buffer.concat([Buffer.alloc(32, webSocket ? 2 : 3), readFileSync(keys)]))
    await daemon.startAgain()
    await open(t).publish([{ tags: [tag], payload: 0 }])
    await lines.until((items) => numbersOf(items).length === 1)
    stop.abort()
    await ended
  })

  t.test(`a signal and the end of the client end a subscription without error, over ${way}`, async (t) => {
    const client = open(t, nodeTransport({ url: daemon.url }, { webSocket }))
    const stop = new AbortController()
    const live = read(client.subscribe("FROM 'never'", { signal: stop.signal }))
    await live.lines.count(1)
    stop.abort()
    await live.ended
    const late = read(client.subscribe("FROM 'never'", { signal: stop.signal }))
    await late.ended
    t.same(late.lines.items, [], 'aborted before it began')
    const other = read(client.subscribe("FROM 'never'"))
    await other.lines.count(1)
    client.close()
    await other.ended
    const waiting = new Collector<SubscriptionState>()
    const nobody = open(t, nodeTransport({ url: 'http://127.0.0.1:1' }, { webSocket }))
    const wait = new AbortController()
    const absent = read(nobody.subscribe('FROM allEvents', { signal: wait.signal, onState: waiting.push, retry }))
    await waiting.until((states) => states.filter(({ state }) => state === 'waiting').length >= 2)
    wait.abort()
    await absent.ended
    t.match(waiting.items[1], { state: 'waiting', error: { code: 'ERR_NODE_UNREACHABLE' } })
  })
}

t.test('reading on after leaving the loop goes on behind the last delivered line', async (t) => {
  const client = open(t)
  await client.publish(upTo(10).map((n) => ({ tags: ['left'], payload: n })))
  const subscription = client.subscribe("FROM 'left'")
  const got: number[] = []
  for (const most of [3, 7, 10]) {
    for await (const line of subscription) {
      if (line.type === 'event') got.push(line.payload as number)
      if (got.length === most) break
    }
  }
  t.same(got, upTo(10))
})

t.test('an aggregation goes on with the right result, one that counts says that it cannot', async (t) => {
  const client = open(t)
  const publisher = open(t)
  await publisher.publish(upTo(5).map((n) => ({ tags: ['sum'], payload: n })))
  const query = "FEATURES(aggregate) FROM 'sum' AGGREGATE SUM(_)"
  const stop = new AbortController()
  const sums = read(client.subscribe<number>(query, { retry, signal: stop.signal }))
  const limited = read(client.subscribe<number>("FROM 'sum' -- LIMIT\n FILTER _ > 1 LIMIT 4", { retry }))
  await limited.lines.until((lines) => numbersOf(lines).length === 3)
  await sums.lines.until((lines) => lines.some(({ type }) => type === 'offsets'))
  t.same(numbersOf(sums.lines.items), [10])
  await daemon.kill()
  await daemon.startAgain()
  await t.rejects(limited.ended, { code: 'ERR_ANSWER_FAILED', message: /LIMIT/ })
  await sums.lines.until((lines) => lines.filter(({ type }) => type === 'offsets').length === 2)
  t.same(numbersOf(sums.lines.items), [10], 'the same result is not repeated')
  await publisher.publish([{ tags: ['sum'], payload: 100 }])
  await sums.lines.until((lines) => numbersOf(lines).includes(110))
  t.match(sums.lines.items.slice(-2), [
    { type: 'antiEvent', payload: 10 },
    { type: 'event', payload: 110 },
  ])
  stop.abort()
  await sums.ended
  const first = read(client.subscribe<number>("FROM 'sum' LIMIT 2"))
  await first.ended
  t.same(numbersOf(first.lines.items), [0, 1], 'a limit that is reached ends the subscription')
  const inText = read(client.subscribe("FROM 'LIMIT'", { retry, signal: AbortSignal.timeout(20_000) }))
  await inText.lines.count(1)
})

t.test('many subscriptions and publishes share one WebSocket', async (t) => {
  const client = open(t, nodeTransport({ url: daemon.url }, { webSocket: true }))
  const readings = upTo(30).map((n) => read(client.subscribe(`FROM 'shared:${n}'`)))
  for (const { lines } of readings) await lines.count(1)
  await Promise.all(upTo(30).map((n) => client.publish([{ tags: [`shared:${n}`], payload: n }])))
  for (const [n, { lines }] of readings.entries()) {
    await lines.until((items) => numbersOf(items).length === 1)
    t.same(numbersOf(lines.items), [n])
  }
  // The node may not have heard yet that those of other tests are gone.
  await until(async () => /^millrace_sockets_open 1$/m.test(await (await fetch(`${daemon.url}/metrics`)).text()))
  client.close()
  await Promise.all(readings.map(({ ended }) => ended))
})

t.test('a late event of another node ends a monotonic subscription with its key', async (t) => {
  const [other, node] = [await openReplica(t), await serveStore(t)]
  await publish(other.store, [event('early', ['log'])])
  await node.publish(['other'], 1)
  await node.publish(['log'], 'X', 'Y')
  for (const webSocket of [false, true]) {
    if (webSocket) await publish(other.store, [event('early too', ['log'])])
    const client = open(t, nodeTransport({ url: node.url }, { webSocket }))
    const states: string[] = []
    const seen = read(client.subscribeMonotonic<string>("FROM 'log'", { onState: ({ state }) => states.push(state) }))
    await seen.lines.until((lines) => lines.some(({ type }) => type === 'offsets'))
    t.ok(seen.lines.items.some((line) => line.type === 'event' && !line.caughtUp && line.payload === 'Y'))
    await pull(other.store, node.store)
    await seen.ended
    const newStart = seen.lines.items.at(-1)
    t.match(newStart, { type: 'timeTravel', newStart: { stream: `${other.store.nodeId}-0` } })
    t.same(states, ['connecting', 'live'])
    const again: (EventLine<string> | undefined)[] = []
    for await (const line of client.subscribe<string>("FROM 'log'")) {
      if (line.type === 'offsets') break
      if (line.type === 'event') again.push(line)
    }
    t.ok(again.some((line) => line?.payload === 'early'))
  }
})
