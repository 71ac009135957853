import { HttpConnection, type BodySink, type HttpReply } from './http-connection.js'

/** An event to publish: `payload` is JSON text. */
export interface Draft {
  readonly tags: readonly string[]
  readonly payload: string
}

/** Where a published event went. */
export interface Receipt {
  readonly lamport: number
  readonly stream: string
  readonly offset: number
  readonly timestamp: number
}

/** An event as a query delivers it; `payload` is the parsed value. */
export interface Delivered extends Receipt {
  readonly type: 'event'
  readonly tags: readonly string[]
  readonly appId: string
  readonly payload: unknown
}

/** The lines of one answer, sorted by kind. */
export interface QueryResult {
  readonly status: number
  /** Event lines as text, without line feed. */
  readonly lines: readonly string[]
  readonly diagnostics: readonly { readonly severity: string; readonly message: string }[]
  /** The offsets of the last line, when there is one. */
  readonly offsets: Readonly<Record<string, number>> | undefined
  /** The body when the status is not 200. */
  readonly refusal: string
}

export interface Progress {
  readonly present: Readonly<Record<string, number>>
  readonly toReplicate: Readonly<Record<string, number>>
}

const MANIFEST = '{"appId":"com.example.proof","displayName":"proof","version":"1.0.0"}'

/** The app API over one connection, as thin as can be. */
export class ApiClient {
  readonly connection: HttpConnection
  readonly token: string
  readonly #publishHead: string
  readonly #queryHead: string

  private constructor(connection: HttpConnection, token: string) {
    this.connection = connection
    this.token = token
    const common = `HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\n`
    this.#publishHead = `POST /api/v2/events/publish ${common}`
    this.#queryHead = `POST /api/v2/events/query ${common}accept: application/x-ndjson\r\n`
  }

  /** @param address port on loopback, or path of a Unix socket */
  static async open(address: number | string, token?: string): Promise<ApiClient> {
    const where = typeof address === 'string' ? { path: address } : { port: address, host: '127.0.0.1' }
    const connection = await HttpConnection.open(where)
    return new ApiClient(connection, token ?? (await fetchToken(connection)))
  }

  /** The reply as it comes: 200 means acknowledged. */
  publishBody(body: string | Buffer): Promise<HttpReply> {
    return this.connection.request(this.#publishHead, body)
  }

  /** @throws Error for any answer but 200 */
  async publish(events: readonly Draft[]): Promise<readonly Receipt[]> {
    const reply = await this.publishBody(publishBody(events))
    if (reply.status !== 200) throw new Refusal(reply)
    return (JSON.parse(reply.body.toString()) as { data: Receipt[] }).data
  }

  async query(query: string, order = 'asc'): Promise<QueryResult> {
    const collector = new LineCollector()
    const reply = await this.queryInto(query, order, (chunk) => {
      collector.push(chunk)
    })
    return reply.status === 200
      ? collector.result()
      : { status: reply.status, lines: [], diagnostics: [], offsets: undefined, refusal: collector.text() }
  }

  /** Streams the answer into a sink; the reply has no body then. */
  queryInto(query: string, order: string, sink: BodySink): Promise<HttpReply> {
    return this.connection.request(this.#queryHead, JSON.stringify({ query, order }), sink)
  }

  async offsets(): Promise<Readonly<Record<string, number>>> {
    return (await this.progress()).present
  }

  /** How far the node is with all streams, and how many events of which it knows to be missing. */
  async progress(): Promise<Progress> {
    const reply = await this.get('/api/v2/events/offsets')
    if (reply.status !== 200) throw new Refusal(reply)
    return JSON.parse(reply.body.toString()) as Progress
  }

  get(path: string): Promise<HttpReply> {
    return this.connection.request(
      `GET ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${this.token}\r\n`,
      undefined,
    )
  }

  post(path: string, body: string, sink?: BodySink): Promise<HttpReply> {
    const head = `POST ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${this.token}\r\ncontent-type: application/json\r\n`
    return this.connection.request(head, body, sink)
  }

  close(): void {
    this.connection.destroy()
  }
}

/** An answer that is no success. */
export class Refusal extends Error {
  readonly status: number

  constructor(reply: HttpReply) {
    super(`status ${String(reply.status)}: ${reply.body.toString('utf8', 0, 300)}`)
    this.name = 'Refusal'
    this.status = reply.status
  }
}

export function publishBody(events: readonly Draft[]): string {
  return `{"data":[${events.map((event) => `{"tags":${JSON.stringify(event.tags)},"payload":${event.payload}}`).join(',')}]}`
}

async function fetchToken(connection: HttpConnection): Promise<string> {
  const head = 'POST /api/v2/auth HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n'
  const reply = await connection.request(head, MANIFEST)
  if (reply.status !== 200) throw new Refusal(reply)
  return (JSON.parse(reply.body.toString()) as { token: string }).token
}

/** Sorts NDJSON lines by kind; only those that are no events are parsed. */
class LineCollector {
  readonly #chunks: Buffer[] = []

  push(chunk: Buffer): void {
    this.#chunks.push(Buffer.from(chunk))
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString()
  }

  result(): QueryResult {
    const lines: string[] = []
    const diagnostics: { severity: string; message: string }[] = []
    let offsets: Record<string, number> | undefined
    for (const line of this.text().split('\n')) {
      if (line.startsWith('{"type":"event"')) {
        lines.push(line)
      } else if (line !== '') {
        const item = JSON.parse(line) as {
          type: string
          severity: string
          message: string
          offsets: Record<string, number>
        }
        if (item.type === 'offsets') offsets = item.offsets
        else diagnostics.push({ severity: item.severity, message: item.message })
      }
    }
    return { status: 200, lines, diagnostics, offsets, refusal: '' }
  }
}
