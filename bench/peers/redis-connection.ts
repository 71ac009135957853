import { connect, type Socket } from 'node:net'

/** Looks at one bulk string of a reply: `bytes` from `start` to `end`. */
export type OnBulk = (bytes: Buffer, start: number, end: number) => void

const EMPTY = Buffer.alloc(0)
const DOLLAR = 0x24
const STAR = 0x2a
const MINUS = 0x2d

/** RESP2 replies are walked, not built: the client counts elements and shows each string to who asked. */
export class RedisConnection {
  readonly #socket: Socket
  #rest: Buffer = EMPTY
  /** Elements of the current reply that are still to come; nested arrays count as their elements. */
  #elements = 1
  #replies = 0
  #onBulk: OnBulk | undefined
  #done: () => void = () => undefined
  #fail: (error: Error) => void = () => undefined

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
      this.#fail(new Error('the connection ended'))
    })
  }

  static open(port: number): Promise<RedisConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('error', reject)
      socket.once('connect', () => {
        resolve(new RedisConnection(socket))
      })
    })
  }

  /** Sends commands and resolves after `replies` whole replies. One call at a time. */
  send(commands: Buffer, replies: number, onBulk?: OnBulk): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#replies = replies
      this.#onBulk = onBulk
      this.#done = resolve
      this.#fail = reject
      this.#socket.write(commands)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #onData(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    while (at < bytes.length) {
      const next = this.#element(bytes, at)
      if (next === 0) break
      at = next
    }
    this.#rest = at === bytes.length ? EMPTY : bytes.subarray(at)
  }

  /** @returns where the next element begins; 0 when this one is not complete */
  #element(bytes: Buffer, at: number): number {
    const end = bytes.indexOf(10, at)
    if (end < 0) return 0
    const kind = bytes[at]
    let next = end + 1
    if (kind === DOLLAR) {
      const length = Number(bytes.toString('latin1', at + 1, end - 1))
      if (length >= 0) {
        next = end + 1 + length + 2
        if (next > bytes.length) return 0
        this.#onBulk?.(bytes, end + 1, end + 1 + length)
      }
    } else if (kind === STAR) {
      this.#elements += Math.max(0, Number(bytes.toString('latin1', at + 1, end - 1)))
    } else if (kind === MINUS) {
      this.#fail(new Error(bytes.toString('latin1', at + 1, end - 1)))
    }
    if (--this.#elements === 0) {
      this.#elements = 1
      if (--this.#replies === 0) this.#done()
    }
    return next
  }
}

/** A command as bytes. */
export function command(...words: readonly string[]): string {
  return `*${String(words.length)}\r\n${words.map((word) => `$${String(Buffer.byteLength(word))}\r\n${word}\r\n`).join('')}`
}
