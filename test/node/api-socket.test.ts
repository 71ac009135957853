import t from 'tap'
import { once } from 'node:events'
import { WebSocket, type RawData } from 'ws'
import { startApi, type ApiNode } from '../support/api-node.js'

type Message = { type: string; requestId: number; payload?: unknown[]; kind?: Record<string, unknown> }

/** A client that keeps what it receives. */
class Client {
  readonly messages: Message[] = []
  readonly socket: WebSocket
  readonly closed: Promise<number>
  #wake: (() => void) | undefined

  constructor(url: string) {
    this.socket = new WebSocket(url, { perMessageDeflate: false })
    this.socket.on('message', (data: RawData) => {
      this.messages.push(JSON.parse(String(data as Buffer)) as Message)
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
