import { connect, type NetConnectOpts, type Socket } from 'node:net'

/** Takes the body of a reply as it arrives. */
export type BodySink = (chunk: Buffer) => void

export interface HttpReply {
  readonly status: number
  /** Status line and headers as they came. */
  readonly head: string
  /** Empty when a sink took the body. */
  readonly body: Buffer
}

interface Pending {
  readonly sink: BodySink | undefined
  readonly chunks: Buffer[]
  readonly resolve: (reply: HttpReply) => void
  readonly reject: (error: Error) => void
}

/** What of the current reply comes next. */
type Phase = 'head' | 'sized' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailer' | 'until-close'

const EMPTY = Buffer.alloc(0)

/**
 * One kept-alive HTTP/1.1 connection that does nothing but frame requests and replies. Requests may be pipelined. It
 * costs a fraction of Node's own client, so that a benchmark measures the server, and it shows what was really sent.
 */
export class HttpConnection {
  readonly #socket: Socket
  readonly #pending: Pending[] = []
  #rest: Buffer = EMPTY
  #phase: Phase = 'head'
  /** Bytes of body or chunk that are still to come. */
  #remaining = 0
  #head = ''
  #status = 0
  #failure: Error | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk) => {
      this.#onData(chunk)
    })
    socket.on('error', (error) => {
      this.#fail(error)
    })
    socket.on('close', () => {
      this.#onClose()
    })
  }

  static open(options: NetConnectOpts): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect(options)
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new HttpConnection(socket))
      })
    })
  }

  get closed(): boolean {
    return this.#failure !== undefined
  }

  /** Sends one request. `head` is the request line and headers without `content-length` and without the last blank line. */
  request(head: string, body: Buffer | string | undefined, sink?: BodySink): Promise<HttpReply> {
    const failure = this.#failure
    if (failure !== undefined) return Promise.reject(failure)
    return new Promise((resolve, reject) => {
      this.#pending.push({ sink, chunks: [], resolve, reject })
      const length = body === undefined ? 0 : Buffer.byteLength(body)
      const full = body === undefined ? `${head}\r\n` : `${head}content-length: ${String(length)}\r\n\r\n`
      if (typeof body === 'string') {
        this.#socket.write(full + body)
        return
      }
      this.#socket.cork()
      this.#socket.write(full, 'latin1')
      if (body !== undefined) this.#socket.write(body)
      this.#socket.uncork()
    })
  }

  /** Stops reading, so that the server's sending side fills up. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  destroy(): void {
    this.#fail(new Error('connection closed by its user'))
    this.#socket.destroy()
  }

  #fail(error: Error): void {
    this.#failure ??= error
    for (const pending of this.#pending.splice(0)) pending.reject(error)
  }

  #onClose(): void {
    if (this.#phase === 'until-close') this.#finish()
    this.#fail(new Error('connection closed by the server'))
  }

  #onData(chunk: Buffer): void {
    let rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    this.#rest = EMPTY
    while (rest.length > 0) {
      const used = this.#step(rest)
      if (used === 0) {
        this.#rest = rest
        return
      }
      rest = rest.subarray(used)
    }
  }

  /** Consumes the beginning of `bytes`; 0 when more is needed to go on. */
  #step(bytes: Buffer): number {
    switch (this.#phase) {
      case 'head':
        return this.#readHead(bytes)
      case 'chunk-size':
        return this.#readChunkSize(bytes)
      case 'chunk-end':
        if (bytes.length < 2) return 0
        this.#phase = 'chunk-size'
        return 2
      case 'trailer': {
        const end = bytes.indexOf('\r\n')
        if (end < 0) return 0
        if (end === 0) this.#finish()
        return end + 2
      }
      case 'until-close':
        this.#deliver(bytes)
        return bytes.length
      case 'sized':
      case 'chunk':
        return this.#readBody(bytes)
    }
  }

  #readHead(bytes: Buffer): number {
    const end = bytes.indexOf('\r\n\r\n')
    if (end < 0) return 0
    this.#head = bytes.toString('latin1', 0, end)
    this.#status = Number(this.#head.slice(9, 12))
    const length = /\r\ncontent-length: *(\d+)/i.exec(this.#head)?.[1]
    if (length !== undefined) {
      this.#remaining = Number(length)
      this.#phase = 'sized'
      if (this.#remaining === 0) this.#finish()
    } else if (/\r\ntransfer-encoding: *chunked/i.test(this.#head)) {
      this.#phase = 'chunk-size'
    } else if (this.#status === 204 || this.#status === 304 || this.#status < 200) {
      this.#finish()
    } else {
      this.#phase = 'until-close'
    }
    return end + 4
  }

  #readChunkSize(bytes: Buffer): number {
    const end = bytes.indexOf('\r\n')
    if (end < 0) return 0
    this.#remaining = parseInt(bytes.toString('latin1', 0, end), 16)
    this.#phase = this.#remaining === 0 ? 'trailer' : 'chunk'
    return end + 2
  }

  #readBody(bytes: Buffer): number {
    const used = Math.min(bytes.length, this.#remaining)
    this.#deliver(bytes.subarray(0, used))
    this.#remaining -= used
    if (this.#remaining === 0) {
      if (this.#phase === 'sized') this.#finish()
      else this.#phase = 'chunk-end'
    }
    return used
  }

  #deliver(bytes: Buffer): void {
    const pending = this.#pending[0]
    if (pending === undefined) return
    if (pending.sink === undefined) pending.chunks.push(bytes)
    else pending.sink(bytes)
  }

  #finish(): void {
    this.#phase = 'head'
    const pending = this.#pending.shift()
    if (pending === undefined) return
    const body = pending.chunks.length === 1 ? (pending.chunks[0] ?? EMPTY) : Buffer.concat(pending.chunks)
    pending.resolve({ status: this.#status, head: this.#head, body })
  }
}
