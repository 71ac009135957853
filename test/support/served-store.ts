import { once } from 'node:events'
import { join } from 'node:path'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import { systemClock, type AppId } from '../../core/index.js'
import { createApi, SignedTokens } from '../../node/api/index.js'
import { NodeEvents } from '../../node/events/node-events.js'
import { Router } from '../../node/events/router.js'
import type { Store } from '../../storage/index.js'
import { ask, type Reply } from './ask.js'
import { Collector } from './collector.js'
import { openReplica } from './replica.js'
import type { OpenedStore } from './store.js'
import { operationsFor, viewsFor } from './operations.js'
import { temporaryDirectory } from './temporary-directory.js'

/** An item of an answer, as apps see it. */
export type Item = Record<string, unknown> & { readonly type: string }

/** An answer that comes in bit by bit. */
export interface Session {
  readonly received: Collector<Item>
  /** Resolves when the node ends it. */
  readonly ended: Promise<void>
  cancel(): void
}

/** A store behind the app API, in this process, so that a test can feed it from other stores. */
export interface ServedStore {
  readonly store: Store
  /** What the API asks. */
  readonly events: NodeEvents
  readonly url: string
  readonly token: string
  /** Over the WebSocket. */
  follow(serviceId: string, payload: object, onItem?: (item: Item) => void): Session
  /** As {@link follow}, over HTTP. */
  stream(serviceId: string, payload: object): Session
  query(query: string, more?: object): Promise<Item[]>
  get(path: string): Promise<Record<string, unknown>>
  publish(tags: readonly string[], ...payloads: readonly unknown[]): Promise<Reply>
  /** The reply of the service `offsets`, over the WebSocket. */
  offsets(): Promise<unknown>
  /** All but the store. Idempotent. */
  close(): Promise<void>
}

export const APP: AppId = 'com.example.test'

export async function serveStore(t: Test, opened?: OpenedStore): Promise<ServedStore> {
  const { store } = opened ?? (await openReplica(t))
  const events = new NodeEvents({
    store,
    router: new Router([]),
    clock: systemClock,
    limits: {},
    onAnswerError: (error) => {
      throw error
    },
  })
  const tokens = new SignedTokens([Buffer.alloc(32, 7)], systemClock)
  const api = await createApi({
    listen: [{ host: '127.0.0.1', port: 0 }],
    socket: join(temporaryDirectory(t), 'api.sock'),
    access: { apps: [], hosts: [], origins: [] },
    limits: { bodyBytes: 2 ** 27, messageBytes: 2 ** 27, memoryBytes: 2 ** 28 },
    nodeId: store.nodeId,
    version: '0.1.0',
    clock: systemClock,
    tokens,
    events,
    blobs: store.blobs,
    logger: { debug: nothing, warn: nothing, error: nothing },
    operations: operationsFor(store.nodeId),
    status: () => ({ uptimeMs: 1, connectedNodes: 2, peers: { [store.nodeId]: 'LowLatency' } }),
    swarm: () => undefined,
    topic: 'test',
    health: () => ({ ready: store.health.writable, reasons: store.health.problems }),
    log: () => [],
    metrics: () => '',
    streams: () => store.streams(),
    views: viewsFor(store.nodeId),
    explainRoute: () => ({ into: 'default', streamNumber: 0, route: undefined, routes: [], retention: undefined }),
    explain: () => Promise.resolve({}),
  })
  const url = `http://${api.addresses[0] ?? ''}`
  const token = tokens.issue({ appId: APP, version: '1', mode: 'trial' })
  const socket = new WebSocket(`${url.replace('http', 'ws')}/api/v2/events?${token}`, { perMessageDeflate: false })
  const close = async () => {
    socket.terminate()
    await api.close()
    events.close()
  }
  // Comes before the store is closed.
  t.teardown(close)
  await once(socket, 'open')
  return new Served({ store, events, url, token, socket, close })
}

interface ServedParts extends Pick<ServedStore, 'store' | 'events' | 'url' | 'token' | 'close'> {
  readonly socket: WebSocket
}

class Served implements ServedStore {
  readonly store: Store
  readonly events: NodeEvents
  readonly url: string
  readonly token: string
  readonly close: () => Promise<void>
  readonly #socket: WebSocket
  readonly #sessions = new Map<number, { readonly take: (item: Item) => void; readonly end: () => void }>()
  #nextId = 0

  constructor({ store, events, url, token, socket, close }: ServedParts) {
    this.store = store
    this.events = events
    this.url = url
    this.token = token
    this.close = close
    this.#socket = socket
    socket.on('message', (data: Buffer) => {
      this.#take(JSON.parse(data.toString()) as Message)
    })
  }

  #take({ type, requestId, payload = [], kind }: Message): void {
    const session = this.#sessions.get(requestId)
    for (const item of kind === undefined ? payload : [kind]) session?.take(item)
    if (type === 'complete') session?.end()
  }

  follow(serviceId: string, payload: object | null, onItem?: (item: Item) => void): Session {
    const requestId = this.#nextId++
    const received = new Collector<Item>()
    const take = (item: Item): void => {
      received.push(item)
      onItem?.(item)
    }
    const ended = new Promise<void>((resolve) => this.#sessions.set(requestId, { take, end: resolve }))
    this.#socket.send(JSON.stringify({ type: 'request', requestId, serviceId, payload }))
    const cancel = () => {
      this.#socket.send(JSON.stringify({ type: 'cancel', requestId }))
    }
    return { received, ended, cancel }
  }

  stream(serviceId: string, payload: object): Session {
    const received = new Collector<Item>()
    const gone = new AbortController()
    const ended = this.#pump(serviceId, payload, received, gone.signal).catch((error: unknown) => {
      if (!gone.signal.aborted) throw error
    })
    const cancel = () => {
      gone.abort()
    }
    return { received, ended, cancel }
  }

  async #pump(serviceId: string, payload: object, received: Collector<Item>, signal: AbortSignal): Promise<void> {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${this.token}` }
    const init = { method: 'POST', body: JSON.stringify(payload), headers, signal }
    const reply = await fetch(`${this.url}/api/v2/events/${serviceId}`, init)
    const decoder = new TextDecoder()
    let rest = ''
    for await (const chunk of reply.body as unknown as AsyncIterable<Uint8Array>) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) if (line !== '') received.push(JSON.parse(line) as Item)
    }
  }

  async query(query: string, more: object = {}): Promise<Item[]> {
    const session = this.stream('query', { query, order: 'asc', ...more })
    await session.ended
    return session.received.items
  }

  async get(path: string): Promise<Record<string, unknown>> {
    const { status, text } = await ask(this.url, path, { headers: { authorization: `Bearer ${this.token}` } })
    if (status !== 200) throw new Error(`${path}: ${String(status)} ${text}`)
    return JSON.parse(text) as Record<string, unknown>
  }

  publish(tags: readonly string[], ...payloads: readonly unknown[]): Promise<Reply> {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${this.token}` }
    const body = JSON.stringify({ data: payloads.map((payload) => ({ tags, payload })) })
    return ask(this.url, '/api/v2/events/publish', { method: 'POST', headers, body })
  }

  async offsets(): Promise<unknown> {
    const session = this.follow('offsets', null)
    await session.ended
    return session.received.items[0]
  }
}

interface Message {
  readonly type: string
  readonly requestId: number
  readonly payload?: readonly Item[]
  /** Of an error. */
  readonly kind?: Item
}

function nothing(): void {
  // For tests that look at behaviour, not at the log.
}
