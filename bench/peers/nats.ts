import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { RequestRing, type BenchEvent } from '../events.js'
import type { Closeable, Peer, Publisher, Session, Share } from '../peer.js'
import { freePort, ServerProcess } from '../server-process.js'
import { NatsConnection, newInbox } from './nats-connection.js'

const STREAM = 'EVENTS'
const BINARY = resolve('.cache/bin/nats-server')
const MODULE = 'github.com/nats-io/nats-server/v2@latest'

/** JetStream with file storage, with its own default of syncing every two minutes or with a sync for each message. */
export type NatsSync = 'default' | 'always'

export function nats(sync: NatsSync): Peer {
  return {
    name: `NATS ${sync === 'always' ? 'sync always' : 'default'}`,
    missing: buildServer,
    start: (directory) => NatsSession.start(directory, { sync }),
  }
}

/** Builds the newest server once, into the checkout's cache. */
async function buildServer(): Promise<string | undefined> {
  if (existsSync(BINARY)) return undefined
  try {
    await promisify(execFile)('go', ['install', MODULE], { env: { ...process.env, GOBIN: resolve('.cache/bin') } })
    return undefined
  } catch (error) {
    return `go install ${MODULE} failed: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : ''}`
  }
}

/** `ev.<tag on 1 % or ->.<tag on 10 % or ->`: tags as tokens, so that the server can filter. */
function subjectOf(event: BenchEvent): string {
  return `ev.${event.hundredth ? 'alarm' : '-'}.${event.tenth ? 'quality' : '-'}`
}

const FILTERS: Readonly<Record<Share, string>> = { hundredth: 'ev.alarm.*', thousandth: 'ev.alarm.quality' }

/** How a server is set up. */
export interface NatsSetup {
  readonly sync: NatsSync
  /** Further lines of its configuration, outside and inside of `jetstream`. */
  readonly lines?: string
  readonly jetstreamLines?: string
  /** Of its stream; without it the stream takes what is published. */
  readonly mirror?: object
}

export class NatsSession implements Session {
  readonly pid: number
  readonly #server: ServerProcess
  readonly #port: number
  readonly #connection: NatsConnection

  private constructor(server: ServerProcess, port: number, connection: NatsConnection) {
    this.#server = server
    this.#port = port
    this.#connection = connection
    this.pid = server.pid
  }

  static async start(directory: string, setup: NatsSetup): Promise<NatsSession> {
    mkdirSync(directory, { recursive: true })
    const port = await freePort()
    const config = join(directory, 'nats.conf')
    const { sync, lines = '', jetstreamLines = '', mirror } = setup
    const always = sync === 'always' ? '\n  sync_interval: always' : ''
    writeFileSync(
      config,
      `listen: 127.0.0.1:${String(port)}\nmax_pending: 1GB\nmax_payload: 8MB\njetstream {\n  store_dir: "${directory}/js"${always}\n${jetstreamLines}\n}\n${lines}\n`,
    )
    const server = await ServerProcess.start(BINARY, ['-c', config], port)
    const connection = await NatsConnection.open(port)
    await connection.request(
      `$JS.API.STREAM.CREATE.${STREAM}`,
      JSON.stringify({
        name: STREAM,
        ...(mirror === undefined ? { subjects: ['ev.>'] } : { mirror }),
        storage: 'file',
        retention: 'limits',
        num_replicas: 1,
        discard: 'old',
      }),
    )
    return new NatsSession(server, port, connection)
  }

  async publisher(): Promise<Publisher> {
    return new NatsPublisher(await NatsConnection.open(this.#port))
  }

  scan(): Promise<number> {
    return this.#consume('ev.>')
  }

  select(share: Share): Promise<number> {
    return this.#consume(FILTERS[share])
  }

  async subscribe(onEvent: (text: string) => void): Promise<Closeable> {
    const connection = await NatsConnection.open(this.#port)
    const inbox = newInbox()
    connection.subscribe(inbox, (bytes) => {
      onEvent(bytes.toString())
    })
    await connection.request(`$JS.API.CONSUMER.CREATE.${STREAM}`, consumer(inbox, 'ev.>', 'new'))
    return {
      close: () => {
        connection.close()
      },
    }
  }

  async firstAnswer(): Promise<void> {
    await this.#connection.request(`$JS.API.STREAM.MSG.GET.${STREAM}`, '{"seq":1}')
  }

  /** Messages in the stream. */
  async count(): Promise<number> {
    const info = (await this.#connection.request(`$JS.API.STREAM.INFO.${STREAM}`, '')) as {
      state: { messages: number }
    }
    return info.state.messages
  }

  async stop(): Promise<void> {
    this.#connection.close()
    await this.#server.stop()
  }

  /** Push delivery without acknowledgements, the fastest way to read. */
  async #consume(filter: string): Promise<number> {
    const inbox = newInbox()
    let got = 0
    let expected = Infinity
    let done: () => void = () => undefined
    const finished = new Promise<void>((resolve) => {
      done = resolve
    })
    const connection = await NatsConnection.open(this.#port)
    connection.subscribe(inbox, () => {
      if (++got >= expected) done()
    })
    const created = (await connection.request(`$JS.API.CONSUMER.CREATE.${STREAM}`, consumer(inbox, filter, 'all'))) as {
      num_pending: number
      delivered: { consumer_seq: number }
    }
    expected = created.num_pending + created.delivered.consumer_seq
    if (got < expected) await finished
    connection.close()
    return got
  }
}

function consumer(inbox: string, filter: string, policy: 'all' | 'new'): string {
  return JSON.stringify({
    stream_name: STREAM,
    config: {
      deliver_subject: inbox,
      deliver_policy: policy,
      ack_policy: 'none',
      filter_subject: filter,
      replay_policy: 'instant',
      inactive_threshold: 5_000_000_000,
    },
  })
}

/** Messages are sent at once and the acknowledgements counted, as the usual clients' asynchronous publish does. */
class NatsPublisher implements Publisher {
  readonly #connection: NatsConnection
  readonly #inbox = newInbox()
  readonly #ring: RequestRing
  #awaited = 0
  #done: () => void = () => undefined
  #fail: (error: Error) => void = () => undefined

  constructor(connection: NatsConnection) {
    this.#connection = connection
    // Each connection has requests of its own, since they name its inbox; NATS does not compress, so few will do.
    this.#ring = new RequestRing(
      (events) => Buffer.concat(events.map((event) => this.#command(subjectOf(event), event.payload))),
      2000,
    )
    connection.subscribe(this.#inbox, (bytes) => {
      if (bytes.includes('"error"')) this.#fail(new Error(bytes.toString()))
      if (--this.#awaited === 0) this.#done()
    })
  }

  publish(from: number, count: number): Promise<void> {
    return this.#send(this.#ring.request(from, count), count)
  }

  publishText(payload: string): Promise<void> {
    return this.#send(this.#command('ev.-.-', payload), 1)
  }

  close(): void {
    this.#connection.close()
  }

  #command(subject: string, payload: string): Buffer {
    return Buffer.from(`PUB ${subject} ${this.#inbox} ${String(Buffer.byteLength(payload))}\r\n${payload}\r\n`)
  }

  #send(bytes: Buffer, count: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#awaited = count
      this.#done = resolve
      this.#fail = reject
      this.#connection.write(bytes)
    })
  }
}
