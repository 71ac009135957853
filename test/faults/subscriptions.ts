import { once } from 'node:events'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import { ApiClient, publishBody } from '../support/api-client.js'
import { NodeProcess } from '../support/node-process.js'
import { withClient } from './full-disk.js'
import { check, runTrials, withDirectory, type PartResult, type Tally, type Trials } from './part.js'

export const name = 'subscriptions'

export const nightlyCount = 5

const SOCKETS = 33
const SUBSCRIPTIONS_PER_SOCKET = 30
const STOPPED_READERS = 10
const TAGS = 99

const REQUESTS = 1000
const EVENTS_PER_REQUEST = 100

/** With ten readers that take nothing this many bytes would be waiting without a bound: 1.3 GB. */
const TEXT = 'x'.repeat(1000)

const MAX_RESIDENT_BYTES = 512 * 2 ** 20

const DELIVERY_MS = 120_000

export function unavailable(): string | undefined {
  return undefined
}

/** 1,000 live subscriptions, ten of them by readers that never read: the others miss nothing, memory stays bounded. */
export function run(trials: Trials): Promise<PartResult> {
  return runTrials(trials, (_, tally) => withDirectory(name, (work) => runTrial(work, tally)))
}

async function runTrial(work: string, tally: Tally): Promise<void> {
  const node = await NodeProcess.start({ data: join(work, 'data'), work: join(work, 'node'), config: '' })
  const readers: Reader[] = []
  const stopped: ApiClient[] = []
  try {
    const peak = await withClient(node, async (client) => {
      for (let index = 0; index < SOCKETS; index++) readers.push(await Reader.open(node.port, client.token, index))
      for (let index = 0; index < STOPPED_READERS; index++) stopped.push(await stoppedReader(node.port, client.token))
      return publishAll(node, client)
    })
    await Promise.race([Promise.all(readers.map((reader) => reader.complete)), tooLate(readers)])
    tally.note('peak resident MB', Math.round(Math.max(peak, node.residentBytes()) / 1e6))
    check(peak <= MAX_RESIDENT_BYTES, () => `${String(Math.round(peak / 2 ** 20))} MiB resident`)
    check(node.running, () => 'the process died')
  } finally {
    for (const reader of readers) reader.close()
    for (const client of stopped) client.close()
    await node.kill()
  }
}

/** @returns the most memory that the node used meanwhile, bytes */
async function publishAll(node: NodeProcess, client: ApiClient): Promise<number> {
  let peak = 0
  for (let request = 0; request < REQUESTS; request++) {
    const events = Array.from({ length: EVENTS_PER_REQUEST }, (_, index) => {
      const number = request * EVENTS_PER_REQUEST + index
      return { tags: [`tag:${String(number % TAGS)}`], payload: `{"n":${String(number)},"text":"${TEXT}"}` }
    })
    const reply = await client.publishBody(publishBody(events))
    check(reply.status === 200, () => `publish: ${String(reply.status)} ${reply.body.toString().slice(0, 200)}`)
    if (request % 10 === 0) peak = Math.max(peak, node.residentBytes())
  }
  return peak
}

/** Subscribes to everything and never reads. */
async function stoppedReader(port: number, token: string): Promise<ApiClient> {
  const client = await ApiClient.open(port, token)
  const begun = new Promise<void>((resolve) => {
    client
      .post('/api/v2/events/subscribe', '{"query":"FROM allEvents"}', () => {
        resolve()
      })
      .catch(() => undefined)
  })
  await begun
  client.connection.pause()
  return client
}

async function tooLate(readers: readonly Reader[]): Promise<never> {
  await new Promise((resolve) => setTimeout(resolve, DELIVERY_MS).unref())
  const missing = readers.reduce((sum, reader) => sum + reader.missing, 0)
  throw new Error(`${String(missing)} deliveries are missing`)
}

/** One WebSocket with many subscriptions, each to one tag. */
class Reader {
  readonly complete: Promise<void>
  readonly #socket: WebSocket
  /** Number of the next event that each subscription has to get. */
  readonly #next = new Map<number, number>()
  #missing = 0
  #finish: () => void = () => undefined
  #fail: (error: Error) => void = () => undefined

  private constructor(socket: WebSocket) {
    this.#socket = socket
    this.complete = new Promise((resolve, reject) => {
      this.#finish = resolve
      this.#fail = reject
    })
    this.complete.catch(() => undefined)
  }

  static async open(port: number, token: string, index: number): Promise<Reader> {
    const socket = new WebSocket(`ws://127.0.0.1:${String(port)}/api/v2/events?${token}`, { perMessageDeflate: false })
    await once(socket, 'open')
    const reader = new Reader(socket)
    await reader.#subscribe(index)
    return reader
  }

  get missing(): number {
    return this.#missing
  }

  close(): void {
    this.#socket.terminate()
  }

  /** Resolves when all subscriptions are live. */
  #subscribe(index: number): Promise<void> {
    return new Promise((resolve) => {
      let live = 0
      this.#socket.on('message', (data) => {
        const { requestId, payload } = JSON.parse((data as Buffer).toString()) as Message
        for (const item of payload ?? []) {
          if (item.type === 'offsets' && ++live === SUBSCRIPTIONS_PER_SOCKET) resolve()
          if (item.type === 'event') this.#onEvent(requestId, item.payload.n)
        }
      })
      this.#socket.on('close', () => {
        this.#fail(new Error('a socket whose reader reads was closed'))
      })
      for (let id = 0; id < SUBSCRIPTIONS_PER_SOCKET; id++) {
        const tag = (index * SUBSCRIPTIONS_PER_SOCKET + id) % TAGS
        this.#next.set(id, tag)
        this.#missing += Math.ceil((REQUESTS * EVENTS_PER_REQUEST - tag) / TAGS)
        const payload = { query: `FROM 'tag:${String(tag)}'`, lowerBound: {} }
        this.#socket.send(JSON.stringify({ type: 'request', requestId: id, serviceId: 'subscribe', payload }))
      }
    })
  }

  #onEvent(id: number, number: number): void {
    const expected = this.#next.get(id)
    if (number !== expected) this.#fail(new Error(`event ${String(number)} where ${String(expected)} was due`))
    this.#next.set(id, number + TAGS)
    if (--this.#missing === 0) this.#finish()
  }
}

interface Message {
  readonly requestId: number
  readonly payload?: readonly { readonly type: string; readonly payload: { readonly n: number } }[]
}
