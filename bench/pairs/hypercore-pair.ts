import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { RequestRing, tagsOf, type BenchEvent } from '../events.js'
import type { Closeable, Publisher } from '../peer.js'
import { freePort, ServerProcess } from '../server-process.js'
import { HYPERCORE_DIRECTORY, Message, splitMessages, writeMessage } from './hypercore-messages.js'
import type { Pair, PairServer, PairSession, SecondServer } from './pair.js'

/** The last line that keeps its data in plain files; the next one builds on RocksDB. */
const PACKAGE = 'hypercore@10'
const SERVER = fileURLToPath(new URL('hypercore-server.js', import.meta.url))

/** An append-only log that others fetch, without a sync of the disk: one event a block. */
export const hypercorePair: Pair = {
  name: 'hypercore',
  missing: install,
  async start(directory): Promise<PairSession> {
    const port = await freePort()
    const first = await HypercoreServer.start(directory, port)
    const key = await first.key()
    return { first, join: (where) => joinHypercore(first, port, key, where), stop: () => first.stop() }
  },
}

async function joinHypercore(
  first: HypercoreServer,
  port: number,
  key: string,
  directory: string,
): Promise<SecondServer> {
  const session = await HypercoreServer.start(directory, port, key)
  return {
    session,
    ports: [port],
    isLevel: async () => {
      const [there, here] = await Promise.all([first.length(), session.length()])
      return here === there
    },
  }
}

/** Installs it once, into the checkout's cache. */
async function install(): Promise<string | undefined> {
  const directory = resolve(HYPERCORE_DIRECTORY)
  if (existsSync(join(directory, 'node_modules/hypercore'))) return undefined
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'package.json'), '{ "private": true }\n')
  try {
    await promisify(execFile)('npm', ['install', '--prefix', directory, '--ignore-scripts', '--no-audit', PACKAGE])
    return undefined
  } catch (error) {
    return `npm install ${PACKAGE} failed: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : ''}`
  }
}

class HypercoreServer implements PairServer {
  readonly pid: number
  readonly #server: ServerProcess
  readonly #port: number
  readonly #connection: HypercoreConnection

  private constructor(server: ServerProcess, port: number, connection: HypercoreConnection) {
    this.pid = server.pid
    this.#server = server
    this.#port = port
    this.#connection = connection
  }

  /** @param key of the one that it fetches; without it, it is written itself */
  static async start(directory: string, replicationPort: number, key?: string): Promise<HypercoreServer> {
    mkdirSync(directory, { recursive: true })
    const port = await freePort()
    const args = [SERVER, directory, String(port), String(replicationPort), ...(key === undefined ? [] : [key])]
    const server = await ServerProcess.start(process.execPath, args, port)
    return new HypercoreServer(server, port, await HypercoreConnection.open(port))
  }

  async publisher(): Promise<Publisher> {
    return new HypercorePublisher(await HypercoreConnection.open(this.#port))
  }

  async subscribe(onEvent: (text: string) => void): Promise<Closeable> {
    const connection = await HypercoreConnection.open(this.#port)
    await connection.ask(Buffer.of(Message.subscribe))
    connection.onMessage = (message) => {
      onEvent(message.toString('utf8'))
    }
    return connection
  }

  /** Blocks held from the first one on. */
  async length(): Promise<number> {
    return (await this.#connection.ask(Buffer.of(Message.length))).readUInt32LE(0)
  }

  async key(): Promise<string> {
    return (await this.#connection.ask(Buffer.of(Message.key))).toString('hex')
  }

  stop(): Promise<void> {
    this.#connection.close()
    return this.#server.stop()
  }
}

/** Answers come in the order of the questions. */
class HypercoreConnection {
  readonly #socket: Socket
  readonly #waiting: { readonly resolve: (answer: Buffer) => void; readonly reject: (error: Error) => void }[] = []
  onMessage: (message: Buffer) => void = () => undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    splitMessages(socket, (message) => {
      const waiting = this.#waiting.shift()
      if (waiting === undefined) this.onMessage(message)
      else waiting.resolve(message)
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error('the connection ended'))
    })
  }

  static open(port: number): Promise<HypercoreConnection> {
    return new Promise((fulfil, reject) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('error', reject)
      socket.once('connect', () => {
        fulfil(new HypercoreConnection(socket))
      })
    })
  }

  ask(message: Buffer): Promise<Buffer> {
    return new Promise((fulfil, reject) => {
      this.#waiting.push({ resolve: fulfil, reject })
      writeMessage(this.#socket, message)
    })
  }

  close(): void {
    this.#socket.destroy()
  }
}

const APPEND = Buffer.of(Message.append)

/** Shared by all connections. */
const RING = new RequestRing((events) => Buffer.concat([APPEND, Buffer.from(events.map(lineOf).join(''))]))

function lineOf(event: BenchEvent): string {
  return `{"tags":${JSON.stringify(tagsOf(event))},"payload":${event.payload}}\n`
}

class HypercorePublisher implements Publisher {
  readonly #connection: HypercoreConnection

  constructor(connection: HypercoreConnection) {
    this.#connection = connection
  }

  async publish(from: number, count: number): Promise<void> {
    await this.#connection.ask(RING.request(from, count))
  }

  async publishText(payload: string): Promise<void> {
    await this.#connection.ask(Buffer.concat([APPEND, Buffer.from(`{"tags":["machine"],"payload":${payload}}\n`)]))
  }

  close(): void {
    this.#connection.close()
  }
}
