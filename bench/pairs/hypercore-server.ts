// `node hypercore-server.js DIRECTORY CLIENT-PORT REPLICATION-PORT [KEY]`: a hypercore behind a socket, since the package is
// a library without a server. With the key of another one (hexadecimal) it fetches that one from the replication port,
// without it gives its own away there. Clients send and get messages of 4 bytes of length and that many bytes.
import { createRequire } from 'node:module'
import { connect, createServer, type Socket } from 'node:net'
import { join, resolve } from 'node:path'
import type { Duplex } from 'node:stream'
import { HYPERCORE_DIRECTORY, Message, splitMessages, writeMessage } from './hypercore-messages.js'

/** What is used of the package, which brings no types. */
interface Hypercore {
  readonly key: Buffer
  readonly length: number
  /** Blocks held from the first one on without a gap. */
  readonly contiguousLength: number
  ready(): Promise<void>
  append(blocks: readonly Buffer[]): Promise<unknown>
  get(index: number): Promise<Buffer | null>
  replicate(isInitiator: boolean): Duplex
  download(range: { readonly start: number; readonly end: number }): unknown
  on(event: 'append' | 'download', listener: () => void): void
}

const [directory = '', clientPort, replicationPort, key] = process.argv.slice(2)
const load = createRequire(join(resolve(HYPERCORE_DIRECTORY), 'index.js'))
const Core = load('hypercore') as new (storage: string, key?: Buffer) => Hypercore
const core = key === undefined ? new Core(directory) : new Core(directory, Buffer.from(key, 'hex'))
await core.ready()

const subscribers = new Set<Socket>()
let told = core.length
let isTelling = false

/** Hands new blocks to subscribers, in order. */
async function tell(): Promise<void> {
  if (isTelling || subscribers.size === 0) return
  isTelling = true
  for (; told < core.contiguousLength; told++) {
    const block = await core.get(told)
    if (block !== null) for (const socket of subscribers) writeMessage(socket, block)
  }
  isTelling = false
}

core.on('append', () => void tell())
core.on('download', () => void tell())

async function serve(socket: Socket, message: Buffer): Promise<void> {
  switch (message[0]) {
    case Message.append:
      await core.append(linesOf(message.subarray(1)))
      writeMessage(socket, Buffer.of(Message.append))
      break
    case Message.length: {
      const answer = Buffer.alloc(4)
      answer.writeUInt32LE(core.contiguousLength)
      writeMessage(socket, answer)
      break
    }
    case Message.key:
      writeMessage(socket, core.key)
      break
    case Message.subscribe:
      if (subscribers.size === 0) told = core.length
      subscribers.add(socket)
      writeMessage(socket, Buffer.of(Message.subscribe))
      break
    default:
      socket.destroy()
  }
}

function linesOf(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(0x0a, at)
    lines.push(bytes.subarray(at, end))
    at = end + 1
  }
  return lines
}

function pipe(socket: Socket, isInitiator: boolean): void {
  socket.setNoDelay(true)
  const stream = core.replicate(isInitiator)
  const end = (): void => {
    socket.destroy()
    stream.destroy()
  }
  socket.on('error', end)
  stream.on('error', end)
  stream.pipe(socket).pipe(stream)
}

if (key === undefined) {
  createServer((socket) => {
    pipe(socket, false)
  }).listen(Number(replicationPort), '127.0.0.1')
} else {
  pipe(connect(Number(replicationPort), '127.0.0.1'), true)
  core.download({ start: 0, end: -1 })
}
createServer((socket) => {
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  socket.on('close', () => subscribers.delete(socket))
  splitMessages(socket, (message) => void serve(socket, message))
}).listen(Number(clientPort), '127.0.0.1')
