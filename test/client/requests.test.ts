import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { followOverHttp } from '../../client/http-answer.js'
import {
  Client,
  fetchTransport,
  NodeUnreachableError,
  OutcomeUnknownError,
  type QueryLine,
  type Transport,
} from '../../client/index.js'
import { nodeTransport } from '../../client/node.js'
import { Requests } from '../../client/requests.js'
import { SocketChannel } from '../../client/socket-channel.js'
import { DaemonProcess } from '../support/daemon.js'
import { FaultProxy } from '../support/fault-proxy.js'
import { withPlatformSocket } from '../support/platform-socket.js'

const manifest = { appId: 'com.example.client', displayName: 'test of the client', version: '1' }

const daemon = await DaemonProcess.start()
t.teardown(() => daemon.close())

function open(t: { teardown: (work: () => unknown) => void }, transport: Transport): Client {
  const client = new Client(transport, manifest)
  t.teardown(() => {
    client.close()
  })
  return client
}

const transports = (): Readonly<Record<string, Transport>> => ({
  TCP: nodeTransport({ url: daemon.url }),
  'the Unix socket': nodeTransport({ socketPath: daemon.socket }),
  fetch: fetchTransport(`${daemon.url}/`),
  'a WebSocket over TCP': nodeTransport({ url: daemon.url }, { webSocket: true }),
  'a WebSocket over the Unix socket': nodeTransport({ socketPath: daemon.socket }, { webSocket: true }),
  'a WebSocket of the platform': withPlatformSocket(WebSocket, () => fetchTransport(daemon.url, { webSocket: true })),
})

interface Reading {
  readonly celsius: number
}

for (const [name, transport] of Object.entries(transports())) {
  t.test(`events are published, queried and followed over ${name}`, async (t) => {
    const client = open(t, transport)
    const tag = `over ${name}`
    const published = await client.publish([
      { tags: ['reading', tag], payload: { celsius: 21.5 } },
      { tags: [tag], payloadText: '{"celsius": 1.50, "exact": 12345678901234567890}' },
      `{"tags":["${tag}"],"payload":null}`,
    ])
    t.match(published, [{ stream: /-0$/, lamport: Number, timestamp: Number }, {}, {}])
    const offsets = published.map(({ offset }) => offset)
    t.same(
      offsets,
      [0, 1, 2].map((n) => (offsets[0] ?? 0) + n),
    )

    const lines: QueryLine<Reading>[] = []
    for await (const line of client.query<Reading>(`FROM '${tag}' FILTER IsDefined(_.celsius)`, { order: 'desc' })) {
      lines.push(line)
    }
    const [second, first, end] = lines.filter(({ type }) => type !== 'diagnostic')
    t.match(
      [second, first],
      [
        { type: 'event', payload: { celsius: 1.5 }, tags: [tag], appId: manifest.appId },
        { type: 'event', payload: { celsius: 21.5 }, offset: offsets[0] },
      ],
    )
    t.equal(end?.type, 'offsets')

    const texts: string[] = []
    for await (const text of client.subscribeTexts(`FROM '${tag}'`)) {
      if (text.startsWith('{"type":"offsets"')) break
      texts.push(text)
    }
    t.match(texts[1], /"payload":\{"celsius":1\.50,"exact":12345678901234567890\}\}$/, 'digit for digit')
    t.equal(texts.length, 3)
    const bounded = client.query(`FROM '${tag}'`, {
      lowerBound: { [published[0]!.stream]: offsets[0]! },
      upperBound: { [published[0]!.stream]: offsets[1]! },
    })
    const between: QueryLine[] = []
    for await (const line of bounded) between.push(line)
    t.match(between, [{ offset: offsets[1] }, { type: 'offsets', offsets: { [published[0]!.stream]: offsets[1] } }])

    await t.rejects(client.publish([{ tags: [''], payload: 1 }]), {
      code: 'ERR_REQUEST_REFUSED',
      status: 400,
      wireCode: 'ERR_BAD_REQUEST',
    })
    await t.rejects(client.publish([{ tags: ['t'], payload: undefined }]), { code: 'ERR_JSON_INVALID' })
    await t.rejects(client.publish([{ tags: ['t'], payloadText: '1},{' }]), { code: 'ERR_JSON_INVALID' })
    t.same(await client.publish([]), [], 'no events are no fault')
  })
}

t.test('without a WebSocket of the platform, fetch carries everything', async (t) => {
  const transport = withPlatformSocket(undefined, () => fetchTransport(daemon.url, { webSocket: true }))
  t.equal(transport.openChannel, undefined)
  const client = open(t, transport)
  t.equal((await client.publish([{ tags: [], payload: 1 }])).length, 1)
})

t.test('publishes over one WebSocket are stored in the order of the calls', async (t) => {
  const client = open(t, nodeTransport({ url: daemon.url }, { webSocket: true }))
  const calls = Array.from({ length: 200 }, (_, n) =>
    client.publish([{ tags: ['in order'], payload: n }], n % 3 === 0 ? new AbortController().signal : undefined),
  )
  const offsets = (await Promise.all(calls)).map(([published]) => published!.offset)
  t.same(
    offsets,
    [...offsets].sort((a, b) => a - b),
  )
  t.equal(new Set(offsets).size, 200)
})

t.test('what the node refuses is an error with its words, in its middle too', async (t) => {
  const client = open(t, nodeTransport({ url: daemon.url }))
  const read = async (query: string): Promise<QueryLine[]> => {
    const lines: QueryLine[] = []
    for await (const line of client.query(query)) lines.push(line)
    return lines
  }
  await t.rejects(read('FROM x'), { code: 'ERR_REQUEST_REFUSED', status: 400, message: /1:6/ })
  const warned = await read("FROM 'in order' LIMIT 2 SELECT _.missing")
  t.match(warned, [
    { type: 'diagnostic', severity: 'warning', message: String },
    { type: 'diagnostic' },
    { type: 'offsets' },
  ])
  const beyond = client.query('FROM allEvents', { upperBound: { [`${await client.nodeId()}-0`]: 1e9 } })
  await t.rejects(beyond.next(), { code: 'ERR_ANSWER_FAILED', message: /out of range/ })
})

t.test('a signal ends a request, and leaving the loop ends the connection', async (t) => {
  const client = open(t, nodeTransport({ socketPath: daemon.socket }))
  const stop = new AbortController()
  const query = client.query('FROM allEvents', { signal: stop.signal })
  t.match(await query.next(), { value: { type: 'event' } })
  stop.abort()
  await t.rejects(
    async () => {
      for (;;) if ((await query.next()).done === true) return
    },
    { code: 'ERR_ABORTED' },
  )
  const sockets = open(t, nodeTransport({ url: daemon.url }, { webSocket: true }))
  for (const one of [client, sockets]) {
    await t.rejects(one.publish([{ tags: [], payload: 1 }], stop.signal), { code: 'ERR_ABORTED' })
  }
  const streamsOpen = async (): Promise<number> => {
    const text = await (await fetch(`${daemon.url}/metrics`)).text()
    return Number(/^millrace_http_streams_open (\d+)$/m.exec(text)?.[1])
  }
  for await (const line of client.subscribe('FROM allEvents')) if (line.type === 'offsets') break
  while ((await streamsOpen()) > 0) await new Promise(setImmediate)
  t.pass('the node knows that nobody reads any more')
})

t.test('a token that the node takes no longer is replaced, over HTTP and before a WebSocket', async (t) => {
  const clients = [
    open(t, nodeTransport({ url: daemon.url })),
    open(t, nodeTransport({ url: daemon.url }, { webSocket: true })),
  ]
  const tokens = await Promise.all(clients.map((client) => client.token()))
  await daemon.stop()
  const keys = join(daemon.data, 'token.key')
  writeFileSync(keys, Buffer.concat([Buffer.alloc(32, 1), readFileSync(keys)]))
  await daemon.startAgain()
  for (const [index, client] of clients.entries()) {
    t.equal((await client.publish([{ tags: ['token'], payload: index }])).length, 1)
    t.not(await client.token(), tokens[index])
  }
})

t.test('a publish that was cut off says that nobody knows, one that was not sent says so', async (t) => {
  await using proxy = await FaultProxy.open(daemon.port)
  const url = `http://127.0.0.1:${proxy.port}`
  for (const webSocket of [false, true]) {
    const client = open(t, nodeTransport({ url }, { webSocket }))
    await client.publish([{ tags: ['cut'], payload: 1 }])
    proxy.set({ stalled: true })
    const publishing = client.publish([{ tags: ['cut'], payload: 2 }])
    // The request is on its way when the connection goes.
    setImmediate(() => setImmediate(() => proxy.reset()))
    const error: unknown = await publishing.catch((failure: unknown) => failure)
    t.ok(error instanceof OutcomeUnknownError)
    t.ok(error instanceof NodeUnreachableError)
    t.match(error, { code: 'ERR_OUTCOME_UNKNOWN', neverSent: false, message: /not known/ })
    proxy.set({ stalled: false })
    t.equal((await client.publish([{ tags: ['cut'], payload: 3 }])).length, 1, 'and it goes on')
  }
  for (const webSocket of [false, true]) {
    const nobody = open(t, nodeTransport({ url: 'http://127.0.0.1:1' }, { webSocket }))
    const failure = nobody.publish([{ tags: [], payload: 1 }])
    await t.rejects(failure, { code: 'ERR_NODE_UNREACHABLE', neverSent: true })
  }
})

t.test('a connection that is dead without a word is found out', async (t) => {
  await using proxy = await FaultProxy.open(daemon.port)
  const url = `http://127.0.0.1:${proxy.port}`
  const { signal } = new AbortController()
  const requests = new Requests(nodeTransport({ url }), manifest)
  const socket = new WebSocket(`${url.replace('http', 'ws')}/api/v2/events?${await requests.token()}`)
  const channel = await SocketChannel.open(socket, url, 50)
  const request = JSON.stringify({ query: "FROM 'silent'" })
  const answers = {
    'fallen silent': followOverHttp(requests, '/api/v2/events/subscribe', request, signal, 200),
    'is dead': channel.lines('subscribe', request, signal),
  }
  for (const [message, answer] of Object.entries(answers)) {
    proxy.set({ stalled: false })
    t.match((await answer.next()).value, /^\{"type":"offsets"/)
    const next = answer.next()
    proxy.set({ stalled: true })
    await t.rejects(next, { code: 'ERR_NODE_UNREACHABLE', message: new RegExp(message) })
  }
})

t.test('a silent node is asked for a sign of life, and garbage ends the connection', async (t) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  t.teardown(() => server.close())
  await once(server, 'listening')
  const received: string[] = []
  server.on('connection', (socket) => {
    socket.on('message', (data: Buffer) => {
      received.push(data.toString())
      if (received.length === 3) socket.send('{"type":"next","requestId":0,"payload":[1,2]}')
      if (received.length === 4) socket.send('garbage')
    })
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const channel = await SocketChannel.open(new WebSocket(url.replace('http', 'ws')), url, 20)
  const { signal } = new AbortController()
  const answer = channel.lines('subscribe', '{}', signal)
  t.equal((await answer.next()).value, '1')
  t.equal((await answer.next()).value, '2')
  await t.rejects(answer.next(), { code: 'ERR_NODE_UNREACHABLE', message: /no message/ })
  t.ok(
    received.slice(1).every((text) => text.includes('"serviceId":"offsets"')),
    'it was asked in its silence',
  )
  await t.rejects(channel.publish(['{}'], signal), { code: 'ERR_NODE_UNREACHABLE', neverSent: true })
})
