import t from 'tap'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import fc from 'fast-check'
import { WebSocket } from 'ws'
import { nextMessages, nextPrefix } from '../../node/api/socket-frames.js'
import { startApi, type ApiNode } from './support/api-node.js'

type Message = { type: string; requestId: number; payload?: unknown[]; kind?: Record<string, unknown> }

/** A client that keeps what it receives. */
class Client {
  readonly messages: Message[] = []
  readonly socket: WebSocket
  readonly closed: Promise<number>
  #wake: (() => void) | undefined

  constructor(url: string) {
    this.socket = new WebSocket(url, { perMessageDeflate: false })
    this.socket.on('message', (data: Buffer) => {
      this.messages.push(JSON.parse(data.toString()) as Message)
      this.#wake?.()
    })
    this.closed = new Promise((resolve) => this.socket.on('close', resolve))
    this.socket.on('error', () => undefined)
  }

  static async open({ url, token }: ApiNode): Promise<Client> {
    const client = new Client(`${url.replace('http', 'ws')}/api/v2/events?${token}`)
    await once(client.socket, 'open')
    return client
  }

  send(frame: object | string): void {
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
  }

  ask(requestId: number, serviceId: string, payload: unknown): void {
    this.send({ type: 'request', requestId, serviceId, payload })
  }

  /** Waits until a message fits. */
  async until(fits: (message: Message) => boolean): Promise<Message> {
    for (;;) {
      const found = this.messages.find(fits)
      if (found !== undefined) return found
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  complete(requestId: number): Promise<Message> {
    return this.until((message) => message.type === 'complete' && message.requestId === requestId)
  }

  of(requestId: number): Message[] {
    return this.messages.filter((message) => message.requestId === requestId)
  }
}

const publishOf = (tag: string, ...payloads: unknown[]): object => ({
  data: payloads.map((payload) => ({ tags: [tag], payload })),
})

t.test('publish, offsets, query and subscribe answer with next and complete', async (t) => {
  const node = await startApi(t)
  const client = await Client.open(node)
  client.ask(1, 'publish', publishOf('a', 1, 2))
  await client.complete(1)
  client.ask(2, 'offsets', null)
  await client.complete(2)
  client.ask(3, 'query', { query: "FROM 'a'", order: 'asc' })
  await client.complete(3)
  client.ask(4, 'subscribe', { query: "FROM 'a'" })
  await client.until(({ requestId, type }) => requestId === 4 && type === 'next')
  client.ask(5, 'publish', publishOf('a', 3))
  await client.until(({ requestId, payload }) => requestId === 4 && payload?.length === 1)
  t.match(client.of(1)[0], { type: 'next', payload: [{ data: [{ offset: 0 }, { offset: 1 }] }] })
  t.same(client.of(2)[0]?.payload, [{ present: { [`${node.nodeId}-0`]: 1 }, toReplicate: {} }])
  t.match(
    client.of(3).flatMap(({ payload }) => payload ?? []),
    [{ payload: 1 }, { payload: 2 }, { type: 'offsets' }],
  )
  t.match(client.of(4)[1], { payload: [{ type: 'event', payload: 3 }] })
  client.socket.close()
  await client.closed
})

/** Resolves when the condition holds; there is nothing to wait for but the event loop. */
async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}

/** Sends an upgrade request by hand and returns the answer. */
function upgrade(node: ApiNode, path: string, headers: Record<string, string> = {}): Promise<string> {
  const all: Record<string, string> = {
    host: 'localhost',
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  }
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(node.url).port), '127.0.0.1')
    let text = ''
    socket.setEncoding('latin1').on('data', (part: string) => {
      text += part
      if (text.startsWith('HTTP/1.1 101')) socket.destroy()
    })
    socket.on('close', () => {
      resolve(text)
    })
    socket.write(`GET ${path} HTTP/1.1\r\n${head.join('')}\r\n`)
  })
}

t.test('upgrades are refused in plain HTTP', async (t) => {
  const node = await startApi(t)
  const good = `/api/v2/events?${node.token}`
  const cases: [string, Record<string, string>, number, string][] = [
    ['/api/v2/events', {}, 401, 'ERR_MISSING_TOKEN_PARAM'],
    ['/api/v2/events?', {}, 401, 'ERR_MISSING_TOKEN_PARAM'],
    ['/api/v2/events', { authorization: `Bearer ${node.token}` }, 401, 'ERR_MISSING_TOKEN_PARAM'],
    ['/api/v2/events?garbage', {}, 400, 'ERR_TOKEN_INVALID'],
    ['/api/v2/events?access_token=garbage', {}, 400, 'ERR_TOKEN_INVALID'],
    [`${good.slice(0, -4)}AAAA`, {}, 401, 'ERR_TOKEN_UNAUTHORIZED'],
    [`/api/v2/other?${node.token}`, {}, 404, 'ERR_NOT_FOUND'],
    [`/api/v2/events/offsets?${node.token}`, {}, 404, 'ERR_NOT_FOUND'],
    [good, { 'sec-websocket-version': '12' }, 426, 'ERR_UPGRADE_REQUIRED'],
    [good, { 'sec-websocket-version': '8' }, 426, 'ERR_UPGRADE_REQUIRED'],
    [good, { 'sec-websocket-key': 'short' }, 400, 'ERR_BAD_REQUEST'],
    [good, { origin: 'http://evil.example' }, 403, 'ERR_FORBIDDEN'],
    [good, { host: 'evil.example' }, 403, 'ERR_FORBIDDEN'],
  ]
  for (const [path, headers, status, code] of cases) {
    const answer = await upgrade(node, path, headers)
    t.match(
      answer,
      new RegExp(`^HTTP/1\\.1 ${String(status)} [^]*"code":"${code}"`),
      `${path} ${JSON.stringify(headers)}`,
    )
    t.equal(answer.includes('sec-websocket-version: 13'), status === 426)
  }
  for (const path of [good, `/api/v2/events/?x=y&access_token=${node.token}`]) {
    const answer = await upgrade(node, path, { 'sec-websocket-protocol': 'mine', origin: 'http://app.local' })
    t.match(answer, /^HTTP\/1\.1 101 /)
    t.notMatch(answer, /sec-websocket-protocol|sec-websocket-extensions/i)
  }
})

t.test('a frame that is no request drops everything and closes without a code', async (t) => {
  const node = await startApi(t)
  const frames: (string | Buffer)[] = [
    'nonsense',
    '',
    '[]',
    '{}',
    '{"type":"request","requestId":1,"serviceId":"offsets"}',
    '{"type":"request","requestId":-1,"serviceId":"offsets","payload":null}',
    '{"type":"request","requestId":1.5,"serviceId":"offsets","payload":null}',
    '{"type":"request","requestId":9007199254740992,"serviceId":"offsets","payload":null}',
    '{"type":"request","requestId":"1","serviceId":"offsets","payload":null}',
    '{"type":"request","serviceId":"offsets","payload":null}',
    '{"type":"request","requestId":1,"payload":null}',
    '{"type":"request","requestId":1,"serviceId":5,"payload":null}',
    '{"type":"request","requestId":1,"serviceId":"publish","payload":{"data":[nope]}}',
    '{"type":"request","requestId":1,"serviceId":"offsets","payload":null} x',
    '{"type":"request","requestId":1,"requestId":2,"serviceId":"offsets","payload":null}',
    '{"type":"cancel"}',
    '{"type":"next","requestId":1,"payload":[]}',
    Buffer.from('{"type":"request","requestId":1,"serviceId":"offsets","payload":null}'),
  ]
  for (const frame of frames) {
    const client = await Client.open(node)
    client.ask(7, 'subscribe', { query: 'FROM allEvents' })
    await client.until(({ requestId }) => requestId === 7)
    client.socket.send(frame, { binary: typeof frame !== 'string' })
    t.equal(await client.closed, 1005, String(frame))
    t.equal(client.messages.length, 1)
  }
  await eventually(() => node.events.open === 0 && node.api.counters.socketsOpen === 0)
  t.equal(node.api.counters.socketRequestsOpen, 0)
})

t.test('a value that the API does not take is the fault of its request alone', async (t) => {
  const node = await startApi(t)
  const client = await Client.open(node)
  const values = ['1e400', '"\\ud800"', '['.repeat(125) + ']'.repeat(125), '['.repeat(5000) + ']'.repeat(5000)]
  const frames = values.flatMap((value) => {
    const publish = `{"data":[{"tags":[],"payload":${value}}]}`
    return [
      (id: number) => `{"type":"request","requestId":${String(id)},"serviceId":"publish","payload":${publish}}`,
      (id: number) => `{"serviceId":"publish","requestId":${String(id)},"type":"request","payload":${publish},"x":1}`,
    ]
  })
  frames.push((id) => `{"type":"request","requestId":${String(id)},"serviceId":"query","payload":{"query":1e400}}`)
  client.ask(999, 'subscribe', { query: 'FROM allEvents' })
  for (const [id, frame] of frames.entries()) {
    client.send(frame(id))
    await client.complete(id)
    t.match(client.of(id)[0], { type: 'error', kind: { type: 'badRequest', message: / at line 1 column / } }, frame(id))
  }
  client.ask(1000, 'offsets', null)
  await client.complete(1000)
  t.equal(node.events.published.length, 0)
  client.socket.close()
})

t.test('errors come as the kind that the API says, and complete follows where it says', async (t) => {
  const node = await startApi(t)
  const client = await Client.open(node)
  const stream = `${node.nodeId}-0`
  const order = 'asc'
  const bad = (message: RegExp): object => ({ type: 'badRequest', message })
  const service = (value: string | RegExp): object => ({ type: 'serviceError', value })
  const cases: [string, unknown, object][] = [
    ['offsets', {}, bad(/./)],
    ['offsets', 5, bad(/./)],
    ['publish', null, bad(/./)],
    ['publish', {}, bad(/missing field `data`/)],
    ['publish', { data: [{ tags: [''], payload: 1 }] }, bad(/./)],
    ['query', { query: 'FROM allEvents' }, bad(/missing field `order`/)],
    ['query', { query: 'FROM allEvents', order, lowerBound: { x: 1 } }, bad(/./)],
    ['subscribe', { query: 5 }, bad(/./)],
    ['subscribe_monotonic', { query: 'FROM allEvents', lowerBound: {} }, bad(/missing field `session`/)],
    ['query', { query: 'FROM x', order }, service(/^Invalid request\. {2}--> 1:6\n/)],
    ['subscribe', { query: "FROM 'a' AGGREGATE x" }, service('Feature `aggregate` is not supported.')],
    [
      'subscribe_monotonic',
      { query: 'FROM allEvents', session: 's', lowerBound: { [stream]: 99 } },
      service('Query bounds out of range: upper bound must be within the known present.'),
    ],
    ['query', { query: 'explode', order }, service('the disk is gone')],
    ['query', { query: 'crash', order }, { type: 'internalError' }],
  ]
  for (const [index, [service, payload, kind]] of cases.entries()) {
    client.ask(index, service, payload)
    await client.complete(index)
    t.match(client.of(index).at(-2), { type: 'error', requestId: index, kind }, `${service} ${JSON.stringify(payload)}`)
  }
  client.ask(99, 'Query', {})
  const { kind } = await client.until(({ requestId }) => requestId === 99)
  t.same(kind, {
    type: 'unknownEndpoint',
    endpoint: 'Query',
    valid_endpoints: ['offsets', 'publish', 'query', 'subscribe', 'subscribe_monotonic'],
  })
  t.equal(node.logged.filter(({ level }) => level === 'error').length, 1, 'only the defect is logged')
  client.socket.close()
})

t.test('after cancel nothing arrives, and a used id takes the older request off', async (t) => {
  const node = await startApi(t)
  const client = await Client.open(node)
  client.send('{"x":1,"type":"cancel","requestId":12345,"x":[{}]}')
  client.ask(1, 'query', { query: 'endless 10', order: 'asc' })
  await client.until(({ requestId }) => requestId === 1)
  client.send({ type: 'cancel', requestId: 1 })
  client.ask(2, 'offsets', null)
  await client.complete(2)
  const seen = client.of(1).length
  await eventually(() => node.events.open === 0)
  client.ask(3, 'subscribe', { query: 'FROM allEvents' })
  await client.until(({ requestId }) => requestId === 3)
  client.ask(3, 'offsets', null)
  await client.complete(3)
  await eventually(() => node.events.open === 0)
  client.ask(4, 'offsets', null)
  await client.complete(4)
  t.equal(client.of(1).length, seen)
  t.same(
    client.of(3).map(({ type }) => type),
    ['next', 'next', 'complete'],
  )
  t.equal(node.api.counters.socketRequestsOpen, 0)
  client.socket.close()
})

t.test('items come in messages of 1 to 128, all of them and in order', async (t) => {
  const node = await startApi(t)
  const client = await Client.open(node)
  for (const [requestId, count] of [1, 127, 128, 129, 1000].entries()) {
    client.ask(requestId, 'query', { query: `burst ${String(count)}`, order: 'asc' })
    await client.complete(requestId)
    const messages = client.of(requestId).filter(({ type }) => type === 'next')
    t.same(
      messages.flatMap(({ payload }) => payload),
      Array.from({ length: count }, (_, n) => ({ n })),
    )
    t.ok(messages.every(({ payload }) => (payload?.length ?? 0) >= 1 && (payload?.length ?? 0) <= 128))
  }
  client.socket.close()
})

t.test('any lines pass through messages unchanged', (t) => {
  const line = fc.jsonValue().map((value) => JSON.stringify({ value }))
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 300 }), fc.nat(), (lines, requestId) => {
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''))
      const texts = [...nextMessages(nextPrefix(requestId), bytes)].map(String)
      const items = texts.flatMap((text) => {
        const message = JSON.parse(text) as Message
        t.equal(message.requestId, requestId)
        return message.payload ?? []
      })
      t.same(
        items,
        lines.map((text) => JSON.parse(text) as unknown),
      )
    }),
    { numRuns: 50 },
  )
  t.end()
})

t.test('publishes of one connection are handed on in the order in which they came', async (t) => {
  const node = await startApi(t)
  const client = await Client.open(node)
  let open = (): void => undefined
  node.events.gate = new Promise((resolve) => (open = resolve))
  const expected: string[] = []
  for (let n = 0; n < 3000; n++) {
    const payload = JSON.stringify(publishOf('a', n))
    expected.push(payload)
    const [head, tail] = ['"type":"request","serviceId":"publish"', `"requestId":${String(n)},"payload":${payload}`]
    client.send(n % 3 === 0 ? `{${tail}, ${head}}` : `{${head},${tail}}`)
  }
  await eventually(() => node.events.published.length >= 1024)
  t.ok(node.events.published.length <= 2000, 'what is under way is bounded')
  open()
  node.events.gate = undefined
  await client.complete(2999)
  t.same(node.events.published, expected)
  t.equal(client.messages.filter(({ type }) => type === 'error').length, 0, 'waiting, not refusing')
  client.socket.close()
})

t.test('a frame of 20 MB is taken, one beyond the limit is not', async (t) => {
  const limits = { bodyBytes: 1e6, messageBytes: 30e6, memoryBytes: 8e6 }
  const twoEvents = (bytes: number): object => {
    const event = { tags: ['a'], payload: 'x'.repeat(bytes / 2) }
    return { data: [event, event] }
  }
  const node = await startApi(t, { limits })
  const [one, other] = [await Client.open(node), await Client.open(node)]
  for (const client of [one, other]) client.ask(1, 'publish', twoEvents(20e6))
  await Promise.all([one.complete(1), other.complete(1)])
  t.equal(node.events.lines.length, 4)
  one.ask(2, 'publish', twoEvents(31e6))
  t.equal(await one.closed, 1009)
  other.socket.close()
  await other.closed
  await eventually(() => node.api.memoryBytes === 0)
})

t.test('a reader that takes nothing stalls its own connection only, and is cut in the end', async (t) => {
  const node = await startApi(t, { timers: { stallMs: 50 } })
  const slow = await Client.open(node)
  slow.socket.pause()
  slow.ask(1, 'query', { query: 'endless 100000', order: 'asc' })
  const quick = await Client.open(node)
  await eventually(() => node.events.open === 1)
  for (let n = 0; n < 20; n++) {
    quick.ask(n, 'publish', publishOf('a', n))
    await quick.complete(n)
  }
  await eventually(() => node.events.open === 0)
  t.equal(node.api.counters.readersCut, 1)
  slow.socket.resume()
  t.equal(await slow.closed, 1013, 'who reads on after all learns why')
  t.match(slow.of(1).at(-2)?.kind, { type: 'serviceError', value: 'Nothing was read for too long.' })
  quick.socket.close()
})

t.test('many subscriptions whose readers take nothing hold a bounded amount', async (t) => {
  const node = await startApi(t)
  const clients = await Promise.all(Array.from({ length: 20 }, () => Client.open(node)))
  for (const client of clients) {
    client.socket.pause()
    for (let n = 0; n < 50; n++) client.ask(n, 'query', { query: 'endless 50000', order: 'asc' })
  }
  await eventually(() => node.events.open === 1000)
  const before = process.memoryUsage().rss
  for (let turn = 0; turn < 1000; turn++) await new Promise((resolve) => setImmediate(resolve))
  t.ok(process.memoryUsage().rss - before < 200e6)
  for (const client of clients) client.socket.terminate()
  await eventually(() => node.events.open === 0)
  t.equal(node.api.counters.socketRequestsOpen, 0)
})

t.test('closing ends every request with an error and then the connection', async (t) => {
  const node = await startApi(t)
  const client = await Client.open(node)
  client.ask(1, 'subscribe', { query: 'FROM allEvents' })
  await client.until(({ requestId }) => requestId === 1)
  const closing = node.api.close()
  t.equal(await client.closed, 1001)
  await closing
  t.same(client.of(1).slice(-2), [
    { type: 'error', requestId: 1, kind: { type: 'serviceError', value: 'Service shutting down.' } },
    { type: 'complete', requestId: 1 },
  ])
})

t.test('pings are answered, and the Unix socket speaks WebSocket too', async (t) => {
  const node = await startApi(t)
  const client = new Client(`ws+unix://${node.api.socket ?? ''}:/api/v2/events?${node.token}`)
  await once(client.socket, 'open')
  client.socket.ping('x')
  t.equal(String((await once(client.socket, 'pong'))[0]), 'x')
  client.ask(1, 'offsets', null)
  await client.complete(1)
  client.socket.close()
})

t.test('no frames that a client sends end the process', async (t) => {
  const node = await startApi(t)
  const id = fc.constantFrom(0, 1, 2)
  const service = fc.constantFrom('offsets', 'publish', 'query', 'subscribe', 'subscribe_monotonic', 'x')
  const query = fc.constantFrom('FROM allEvents', 'FROM', 'burst 3', 'explode', '')
  const payload = fc.oneof(
    fc.jsonValue(),
    fc.constant(null),
    fc.record({ query, order: fc.constantFrom('asc', 'x'), session: fc.string(), lowerBound: fc.constant({}) }),
    fc.record({ data: fc.array(fc.record({ tags: fc.array(fc.string()), payload: fc.jsonValue() })) }),
  )
  const frame = fc.oneof(
    fc
      .record({ type: fc.constant('request'), requestId: id, serviceId: service, payload })
      .map((value) => JSON.stringify(value)),
    fc.record({ type: fc.constant('cancel'), requestId: id }).map((value) => JSON.stringify(value)),
  )
  const hostile = fc.oneof(
    { weight: 20, arbitrary: frame },
    fc.string({ unit: 'binary' }),
    fc.jsonValue().map((value) => JSON.stringify(value)),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(hostile, { maxLength: 20 }), fc.boolean(), async (frames, abruptly) => {
      const client = await Client.open(node)
      for (const text of frames) client.send(text)
      if (abruptly) client.socket.terminate()
      else client.socket.close()
      await client.closed
    }),
    { numRuns: 100 },
  )
  // Frames broken below the protocol: raw bytes after the upgrade.
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), async (bytes) => {
      const client = await Client.open(node)
      const { _socket: connection } = client.socket as unknown as { _socket: Socket }
      connection.end(bytes)
      await client.closed
    }),
    { numRuns: 50 },
  )
  await eventually(() => node.api.counters.socketsOpen === 0 && node.events.open === 0)
  t.equal(node.api.counters.socketRequestsOpen, 0)
  t.same(
    node.logged.filter(({ level }) => level === 'error'),
    [],
  )
})
