import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { Random } from './random.js'

/** What happens to bytes on their way, in both directions. */
export interface ProxyFaults {
  readonly delayMs: number
  readonly jitterMs: number
  /** Chance of a piece to be lost: it and all behind it come a retransmission later, as TCP does it. */
  readonly loss: number
  readonly bitsPerSecond: number
  /** Nothing moves, nobody is told: connections stay open, new ones are taken and left alone. */
  readonly stalled: boolean
}

const NO_FAULTS: ProxyFaults = { delayMs: 0, jitterMs: 0, loss: 0, bitsPerSecond: Infinity, stalled: false }
/** What TCP waits before it sends a lost piece again, ms. */
const RETRANSMISSION_MS = 200
/** Bytes on their way in one direction; more are not read from who sends them. */
const MAX_UNDER_WAY_BYTES = 256 * 1024

/** Stands between two nodes on loopback and makes the way between them long, narrow, lossy, dead, or cut. */
export class FaultProxy implements AsyncDisposable {
  readonly port: number
  readonly #server: Server
  readonly #target: number
  readonly #random: Random
  readonly #pipes = new Set<Pipe>()
  #faults = NO_FAULTS

  private constructor(server: Server, target: number, seed: number) {
    this.#server = server
    this.#target = target
    this.#random = new Random(seed)
    this.port = (server.address() as AddressInfo).port
    server.on('connection', (socket) => {
      this.#join(socket)
    })
  }

  /** @param target port on loopback that connections are passed on to */
  static async open(target: number, seed = 1): Promise<FaultProxy> {
    const server = createServer({ allowHalfOpen: true })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new FaultProxy(server, target, seed)
  }

  get connections(): number {
    return this.#pipes.size / 2
  }

  set(faults: Partial<ProxyFaults>): void {
    this.#faults = { ...this.#faults, ...faults }
    for (const pipe of this.#pipes) pipe.faultsChanged()
  }

  /** Ends all connections with a reset, on both sides. */
  reset(): void {
    for (const pipe of this.#pipes) pipe.reset()
  }

  async close(): Promise<void> {
    this.reset()
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #join(one: Socket): void {
    const other = connect({ host: '127.0.0.1', port: this.#target, allowHalfOpen: true })
    const faults = (): ProxyFaults => this.#faults
    const pipes = [new Pipe(one, other, faults, this.#random), new Pipe(other, one, faults, this.#random)]
    for (const pipe of pipes) this.#pipes.add(pipe)
    const end = (): void => {
      for (const pipe of pipes) this.#pipes.delete(pipe)
      for (const pipe of pipes) pipe.reset()
    }
    for (const socket of [one, other]) {
      socket.setNoDelay(true)
      socket.on('error', end)
      // Closed in both directions, so everything has arrived.
      socket.on('close', () => {
        if (one.destroyed && other.destroyed) end()
      })
    }
  }
}

/** A piece on its way; no bytes mean that the sender has ended. */
interface Piece {
  readonly bytes: Buffer | undefined
  readonly dueMs: number
}

/** One direction of one connection. */
class Pipe {
  readonly #from: Socket
  readonly #to: Socket
  readonly #faults: () => ProxyFaults
  readonly #random: Random
  readonly #pieces: Piece[] = []
  #underWay = 0
  /** When the narrow part of the way is free again, and when the piece before arrives, ms. */
  #freeMs = 0
  #lastMs = 0
  #timer: NodeJS.Timeout | undefined

  constructor(from: Socket, to: Socket, faults: () => ProxyFaults, random: Random) {
    this.#from = from
    this.#to = to
    this.#faults = faults
    this.#random = random
    from.on('data', (bytes) => {
      this.#take(bytes)
    })
    from.on('end', () => {
      this.#take(undefined)
    })
    this.faultsChanged()
  }

  faultsChanged(): void {
    this.#readOn()
    this.#schedule()
  }

  reset(): void {
    clearTimeout(this.#timer)
    this.#pieces.length = 0
    this.#from.resetAndDestroy()
    this.#to.resetAndDestroy()
  }

  #take(bytes: Buffer | undefined): void {
    const { delayMs, jitterMs, loss, bitsPerSecond } = this.#faults()
    const length = bytes?.length ?? 0
    const nowMs = performance.now()
    this.#freeMs = Math.max(this.#freeMs, nowMs) + (length * 8000) / bitsPerSecond
    const again = this.#random.chance(loss) ? RETRANSMISSION_MS : 0
    const arrivalMs = this.#freeMs + delayMs + this.#random.below(jitterMs + 1) + again
    this.#lastMs = Math.max(this.#lastMs, arrivalMs)
    this.#pieces.push({ bytes, dueMs: this.#lastMs })
    this.#underWay += length
    this.#readOn()
    this.#schedule()
  }

  #readOn(): void {
    if (this.#faults().stalled || this.#underWay >= MAX_UNDER_WAY_BYTES) this.#from.pause()
    else this.#from.resume()
  }

  #schedule(): void {
    clearTimeout(this.#timer)
    const [next] = this.#pieces
    if (next === undefined || this.#faults().stalled) return
    this.#timer = setTimeout(
      () => {
        this.#deliver()
      },
      Math.max(0, next.dueMs - performance.now()),
    )
  }

  #deliver(): void {
    const nowMs = performance.now()
    for (let next = this.#pieces[0]; next !== undefined && next.dueMs <= nowMs; next = this.#pieces[0]) {
      this.#pieces.shift()
      this.#underWay -= next.bytes?.length ?? 0
      if (this.#to.destroyed) continue
      if (next.bytes === undefined) this.#to.end()
      else this.#to.write(next.bytes)
    }
    this.#readOn()
    this.#schedule()
  }
}
