import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { promisify } from 'node:util'
import { RequestRing, TAG_HUNDREDTH, TAG_TENTH, tagsOf } from '../events.js'
import type { Closeable, Peer, Publisher, Session, Share } from '../peer.js'
import { freePort, ServerProcess } from '../server-process.js'
import { command, RedisConnection, type OnBulk } from './redis-connection.js'

const KEY = 'events'

/** Entries per XRANGE. */
const PAGE = 10_000

/** A Redis stream with an append-only file. Redis has no filter, so selective reads fetch all and choose in the client. */
export function redis(sync: 'everysec' | 'always'): Peer {
  return {
    name: `Redis ${sync}`,
    missing: async () => {
      try {
        await promisify(execFile)('redis-server', ['--version'])
        return undefined
      } catch {
        return 'redis-server is not installed (apt-get install redis-server)'
      }
    },
    start: (directory) => RedisSession.start(directory, sync),
  }
}

export class RedisSession implements Session {
  readonly pid: number
  readonly port: number
  readonly #server: ServerProcess

  private constructor(server: ServerProcess, port: number) {
    this.#server = server
    this.port = port
    this.pid = server.pid
  }

  static async start(
    directory: string,
    sync: string,
    more: Readonly<Record<string, string>> = {},
  ): Promise<RedisSession> {
    mkdirSync(directory, { recursive: true })
    const port = await freePort()
    const settings = {
      port: String(port),
      bind: '127.0.0.1',
      dir: directory,
      appendonly: 'yes',
      appendfsync: sync,
      save: '',
      ...more,
    }
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
    return new RedisSession(await ServerProcess.start('redis-server', args, port), port)
  }

  async publisher(): Promise<Publisher> {
    return new RedisPublisher(await RedisConnection.open(this.port))
  }

  scan(): Promise<number> {
    return this.#range(() => true)
  }

  select(share: Share): Promise<number> {
    return this.#range((tags) => tags.includes(TAG_HUNDREDTH) && (share === 'hundredth' || tags.includes(TAG_TENTH)))
  }

  async subscribe(onEvent: (text: string) => void): Promise<Closeable> {
    const connection = await RedisConnection.open(this.port)
    let closed = false
    let last = '$'
    let isPayload = false
    const onBulk: OnBulk = (bytes, start, end) => {
      const text = bytes.toString('utf8', start, end)
      if (isPayload) onEvent(text)
      else if (/^\d+-\d+$/.test(text)) last = text
      isPayload = text === 'e'
    }
    const loop = async (): Promise<void> => {
      while (!closed) {
        await connection.send(Buffer.from(command('XREAD', 'BLOCK', '200', 'STREAMS', KEY, last)), 1, onBulk)
      }
    }
    void loop().catch(() => undefined)
    return {
      close: () => {
        closed = true
        connection.close()
      },
    }
  }

  async firstAnswer(): Promise<void> {
    const connection = await RedisConnection.open(this.port)
    // While it loads its file Redis answers LOADING to everything.
    for (;;) {
      try {
        await connection.send(Buffer.from(command('XRANGE', KEY, '-', '+', 'COUNT', '1')), 1)
        break
      } catch (error) {
        if (!(error instanceof Error) || !error.message.startsWith('LOADING')) throw error
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }
    connection.close()
  }

  /** Id of the newest entry; empty when there is none. */
  async newest(): Promise<string> {
    const connection = await RedisConnection.open(this.port)
    let id = ''
    try {
      await connection.send(Buffer.from(command('XREVRANGE', KEY, '+', '-', 'COUNT', '1')), 1, (bytes, start, end) => {
        id ||= bytes.toString('latin1', start, end)
      })
    } finally {
      connection.close()
    }
    return id
  }

  stop(): Promise<void> {
    return this.#server.stop()
  }

  /** Reads everything page by page and counts the entries whose tags (the first value) pass. */
  async #range(passes: (tags: string) => boolean): Promise<number> {
    const connection = await RedisConnection.open(this.port)
    const all = passes('')
    let from = '-'
    let count = 0
    for (;;) {
      let entries = 0
      // Per entry: id, 't', tags, 'e', payload.
      let column = 0
      let idBytes: Buffer | undefined
      await connection.send(
        Buffer.from(command('XRANGE', KEY, from, '+', 'COUNT', String(PAGE))),
        1,
        (bytes, start, end) => {
          if (column === 0) {
            if (++entries === PAGE) idBytes = Buffer.from(bytes.subarray(start, end))
          } else if (column === 2 && (all || passes(bytes.toString('latin1', start, end)))) {
            count++
          }
          column = (column + 1) % 5
        },
      )
      if (entries < PAGE || idBytes === undefined) break
      from = `(${idBytes.toString('latin1')}`
    }
    connection.close()
    return count
  }
}

/** Shared by all connections. */
const RING = new RequestRing((events) =>
  Buffer.from(
    events.map((event) => command('XADD', KEY, '*', 't', tagsOf(event).join(','), 'e', event.payload)).join(''),
  ),
)

class RedisPublisher implements Publisher {
  readonly #connection: RedisConnection

  constructor(connection: RedisConnection) {
    this.#connection = connection
  }

  publish(from: number, count: number): Promise<void> {
    return this.#connection.send(RING.request(from, count), count)
  }

  publishText(payload: string): Promise<void> {
    return this.#connection.send(Buffer.from(command('XADD', KEY, '*', 't', 'machine', 'e', payload)), 1)
  }

  close(): void {
    this.#connection.close()
  }
}
