import { dirname, join } from 'node:path'
import { ApiClient } from '../../test/support/api-client.js'
import { NodeProcess } from '../../test/support/node-process.js'
import { RequestRing, TAG_ALL, TAG_HUNDREDTH, TAG_TENTH, tagsOf } from '../events.js'
import type { Closeable, Peer, Publisher, Session, Share } from '../peer.js'

const QUERIES: Readonly<Record<Share, string>> = {
  hundredth: `FROM '${TAG_HUNDREDTH}'`,
  thousandth: `FROM '${TAG_HUNDREDTH}' & '${TAG_TENTH}'`,
}

/** Extra arguments for Node itself, such as `--cpu-prof`. */
const NODE_ARGS = (process.env['MILLRACE_BENCH_NODE_ARGS'] ?? '').split(' ').filter((word) => word !== '')

/** Ours, with the settings that everybody gets: every acknowledgement is synced. */
export function millrace(name = 'millrace', config = ''): Peer {
  return {
    name,
    missing: () => Promise.resolve(undefined),
    start: (directory) => MillraceSession.start(directory, config),
  }
}

export class MillraceSession implements Session {
  readonly pid: number
  readonly node: NodeProcess
  readonly #token: string
  #client: ApiClient

  private constructor(node: NodeProcess, client: ApiClient) {
    this.node = node
    this.#client = client
    this.#token = client.token
    this.pid = node.pid
  }

  static async start(directory: string, config = ''): Promise<MillraceSession> {
    const work = join(dirname(directory), 'node-work')
    const node = await NodeProcess.start({ data: directory, work, config, nodeArgs: NODE_ARGS })
    return new MillraceSession(node, await ApiClient.open(node.port))
  }

  async publisher(): Promise<Publisher> {
    return new MillracePublisher(await this.client())
  }

  /** A further connection. */
  client(): Promise<ApiClient> {
    return ApiClient.open(this.node.port, this.#token)
  }

  scan(): Promise<number> {
    return this.read('FROM allEvents')
  }

  select(share: Share): Promise<number> {
    return this.read(QUERIES[share])
  }

  /** Runs a query and counts lines that are not the last one. @throws Error unless the answer ends with its offsets */
  async read(query: string): Promise<number> {
    let lines = 0
    let last: Buffer = Buffer.alloc(0)
    const reply = await this.#client.queryInto(query, 'asc', (chunk) => {
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines++
      last = chunk
    })
    if (reply.status !== 200 || !last.includes('"type":"offsets"')) throw new Error(`query failed: ${last.toString()}`)
    return lines - 1
  }

  async subscribe(onEvent: (text: string) => void): Promise<Closeable> {
    const client = await this.client()
    const live = new Promise<void>((resolve) => {
      let partial = ''
      const sink = (chunk: Buffer): void => {
        const lines = (partial + chunk.toString()).split('\n')
        partial = lines.pop() ?? ''
        for (const line of lines) {
          if (line.startsWith('{"type":"event"')) onEvent(line)
          else if (line.includes('"type":"offsets"')) resolve()
        }
      }
      const lowerBound = JSON.stringify({})
      const query = `{"query":"FROM 'live'","lowerBound":${lowerBound}}`
      client.post('/api/v2/events/subscribe', query, sink).catch(() => undefined)
    })
    await live
    return {
      close: () => {
        client.close()
      },
    }
  }

  async firstAnswer(): Promise<void> {
    const answer = await this.#client.query('FEATURES(limit) FROM allEvents LIMIT 1')
    if (answer.lines.length !== 1) throw new Error(`no first answer: ${String(answer.status)} ${answer.refusal}`)
  }

  /** Newest offset of each stream that can be read. */
  offsets(): Promise<Readonly<Record<string, number>>> {
    return this.#client.offsets()
  }

  async stop(): Promise<void> {
    this.#client.close()
    await this.node.stop()
  }
}

/** Shared by all connections. */
const RING = new RequestRing((events) =>
  Buffer.from(
    `{"data":[${events.map((event) => `{"tags":${JSON.stringify(tagsOf(event))},"payload":${event.payload}}`).join(',')}]}`,
  ),
)

class MillracePublisher implements Publisher {
  readonly #client: ApiClient

  constructor(client: ApiClient) {
    this.#client = client
  }

  async publish(from: number, count: number): Promise<void> {
    await this.#send(RING.request(from, count))
  }

  publishText(payload: string): Promise<void> {
    return this.#send(`{"data":[{"tags":["${TAG_ALL}","live"],"payload":${payload}}]}`)
  }

  close(): void {
    this.#client.close()
  }

  async #send(body: Buffer | string): Promise<void> {
    const reply = await this.#client.publishBody(body)
    if (reply.status !== 200) throw new Error(`publish: ${String(reply.status)} ${reply.body.toString().slice(0, 200)}`)
  }
}
