import type { TaggedPayload } from './tables.js'

/** A line of an answer, as far as the example looks at it. */
export interface Row {
  readonly type: 'event' | 'antiEvent' | 'offsets' | 'diagnostic'
  readonly offset?: number
  readonly payload?: unknown
  readonly message?: string
}

/** A stream as `GET /api/millrace/v1/streams` shows it, as far as the example looks at it. */
export interface StreamRow {
  readonly name: string | null
  readonly events: number
  readonly firstOffset: number
  readonly nextOffset: number
  readonly blocks: number
  readonly tailEvents: number
  readonly nextPrune: { readonly blocks: number }
}

/** An app of a node, made of nothing but `fetch`: shows how little it takes to talk to the API. */
export class App {
  readonly #url: string
  readonly #headers: Readonly<Record<string, string>>

  private constructor(url: string, token: string) {
    this.#url = url
    this.#headers = { authorization: `Bearer ${token}` }
  }

  /** Asks the node for a token. Ids that begin with `com.example.` need no permission. */
  static async connect(url: string): Promise<App> {
    const manifest = { appId: 'com.example.real-data', displayName: 'Real data', version: '1.0.0' }
    const headers = { 'content-type': 'application/json' }
    const reply = await fetch(`${url}/api/v2/auth`, { method: 'POST', headers, body: JSON.stringify(manifest) })
    const { token } = (await expectOk(reply).json()) as { token: string }
    return new App(url, token)
  }

  /** Resolves when the events are on disk. */
  async publish(events: readonly TaggedPayload[]): Promise<void> {
    await this.#post('/api/v2/events/publish', { data: events })
  }

  /** All rows of a query. */
  async query(query: string): Promise<Row[]> {
    const rows: Row[] = []
    for await (const row of this.#lines('/api/v2/events/query', { query, order: 'asc' })) {
      if (row.type === 'diagnostic') throw new Error(`${query}: ${row.message ?? ''}`)
      rows.push(row)
    }
    return rows
  }

  /** The payload of the one row that an aggregation gives. */
  async aggregate<T>(query: string): Promise<T> {
    const [row] = await this.query(query)
    return row?.payload as T
  }

  /** Past and future rows, until the signal ends it. */
  async *subscribe(query: string, signal: AbortSignal): AsyncGenerator<Row> {
    try {
      yield* this.#lines('/api/v2/events/subscribe', { query }, signal)
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  async streams(): Promise<readonly StreamRow[]> {
    const reply = await fetch(`${this.#url}/api/millrace/v1/streams`, { headers: this.#headers })
    return ((await expectOk(reply).json()) as { streams: StreamRow[] }).streams
  }

  async #post(path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
    const headers = { ...this.#headers, 'content-type': 'application/json' }
    const request = { method: 'POST', headers, body: JSON.stringify(body), ...(signal === undefined ? {} : { signal }) }
    return expectOk(await fetch(this.#url + path, request))
  }

  /** Answers are NDJSON: one JSON object per line; empty lines keep the connection alive. */
  async *#lines(path: string, body: unknown, signal?: AbortSignal): AsyncGenerator<Row> {
    const reply = await this.#post(path, body, signal)
    let rest = ''
    for await (const text of (reply.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) if (line !== '') yield JSON.parse(line) as Row
    }
  }
}

function expectOk(reply: Response): Response {
  if (!reply.ok) throw new Error(`${reply.url} answers ${String(reply.status)}`)
  return reply
}
