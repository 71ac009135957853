import { connect, type Socket } from 'node:net'

/** Takes one message; `bytes` are only valid during the call. */
type OnMessage = (bytes: Buffer, reply: string) => void

const LINE_END = 10
const EMPTY = Buffer.alloc(0)

/** The NATS client protocol, as far as measuring needs it. */
export class NatsConnection {
  readonly #socket: Socket
  readonly #handlers = new Map<string, OnMessage>()
  #rest: Buffer = EMPTY
  #onPong: (() => void) | undefined
  #nextSid = 1
  #failure: Error | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk) => {
      this.#onData(chunk)
    })
    socket.on('error', (error) => {
      this.#failure = error
    })
  }

  static async open(port: number): Promise<NatsConnection> {
    const socket = connect(port, '127.0.0.1')
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.once('connect', () => {
        resolve()
      })
    })
    const connection = new NatsConnection(socket)
    socket.write(
      'CONNECT {"verbose":false,"pedantic":false,"lang":"bench","version":"1","headers":true,"no_responders":false}\r\n',
    )
    await connection.flush()
    return connection
  }

  write(bytes: Buffer | string): void {
    if (this.#failure !== undefined) throw this.#failure
    this.#socket.write(bytes)
  }

  /** Resolves when the server has read everything written before. */
  flush(): Promise<void> {
    return new Promise((resolve) => {
      this.#onPong = resolve
      this.write('PING\r\n')
    })
  }

  subscribe(subject: string, onMessage: OnMessage): () => void {
    const sid = String(this.#nextSid++)
    this.#handlers.set(sid, onMessage)
    this.write(`SUB ${subject} ${sid}\r\n`)
    return () => {
      this.#handlers.delete(sid)
      this.write(`UNSUB ${sid}\r\n`)
    }
  }

  /** One request, one reply, parsed. */
  request(subject: string, body: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const inbox = newInbox()
      const end = this.subscribe(inbox, (bytes) => {
        end()
        const reply = JSON.parse(bytes.toString()) as { error?: unknown }
        if (reply.error === undefined) resolve(reply)
        else reject(new Error(`${subject}: ${JSON.stringify(reply.error)}`))
      })
      this.write(`PUB ${subject} ${inbox} ${String(Buffer.byteLength(body))}\r\n${body}\r\n`)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #onData(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    for (;;) {
      const end = bytes.indexOf(LINE_END, at)
      if (end < 0) break
      const used = this.#onLine(bytes, at, end)
      if (used === 0) break
      at = used
    }
    this.#rest = at === bytes.length ? EMPTY : bytes.subarray(at)
  }

  /** @returns where the next line begins; 0 when the message is not complete */
  #onLine(bytes: Buffer, from: number, end: number): number {
    const first = bytes[from]
    if (first === 0x4d /* MSG */) return this.#onMessage(bytes, from, end, 0)
    if (first === 0x48 /* HMSG */) return this.#onMessage(bytes, from, end, 1)
    const line = bytes.toString('latin1', from, end)
    if (line.startsWith('PING')) this.write('PONG\r\n')
    else if (line.startsWith('PONG')) this.#onPong?.()
    else if (line.startsWith('-ERR')) this.#failure = new Error(line)
    return end + 1
  }

  #onMessage(bytes: Buffer, from: number, end: number, headers: number): number {
    const words = bytes.toString('latin1', from, end - 1).split(' ')
    const length = Number(words[words.length - 1])
    const headLength = headers === 1 ? Number(words[words.length - 2]) : 0
    const begin = end + 1
    if (begin + length + 2 > bytes.length) return 0
    const reply = words.length > 4 + headers ? (words[3] ?? '') : ''
    this.#handlers.get(words[2] ?? '')?.(bytes.subarray(begin + headLength, begin + length), reply)
    return begin + length + 2
  }
}

let inboxes = 0

export function newInbox(): string {
  return `_INBOX.b${String(process.pid)}.${String(inboxes++)}`
}
