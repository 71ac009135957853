import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'
import type { AbortOptions, ConnectionProtector, MultiaddrConnection } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { NetworkKeyError } from '../transport-errors.js'
import { coalesce } from './coalesce.js'
import type { Traffic, TrafficBook } from './traffic.js'

const NONCE_LENGTH = 32
const PROOF_LENGTH = 16
/** What a libp2p node without network key says first. */
const PLAIN_GREETING = Buffer.from('\x13/multistream/')
/** For the exchange of nonces and proofs: two round trips, ms. */
const EXCHANGE_MS = 4_000

type Chunks = AsyncIterable<Uint8Array | Uint8ArrayList>

/**
 * Lets only those in who have the network key, by ciphering every connection with it before anything else is said
 * (noise comes inside). It does what libp2p's own pre-shared key does, with three differences: ChaCha20 of the
 * platform instead of Salsa20 in JavaScript (which took more than half of the CPU of a bulk transfer), keys that depend
 * on both nonces, and a proof in each direction, so that a wrong key is found at once and by name instead of by a
 * time-out.
 */
export class KeyProtector implements ConnectionProtector {
  readonly #key: Uint8Array
  readonly #traffic: TrafficBook
  readonly #onMismatch: (connection: MultiaddrConnection, error: NetworkKeyError) => void

  constructor(
    key: Uint8Array,
    traffic: TrafficBook,
    onMismatch: (connection: MultiaddrConnection, error: NetworkKeyError) => void,
  ) {
    this.#key = key
    this.#traffic = traffic
    this.#onMismatch = onMismatch
  }

  async protect(connection: MultiaddrConnection, options?: AbortOptions): Promise<MultiaddrConnection> {
    const exchange = new Exchange(this.#key, connection, this.#traffic.of(connection.timeline))
    const onAbort = (): void => {
      exchange.timeUp()
    }
    const timer = setTimeout(onAbort, EXCHANGE_MS)
    options?.signal?.addEventListener('abort', onAbort)
    try {
      return await exchange.run()
    } catch (error) {
      if (error instanceof NetworkKeyError) this.#onMismatch(connection, error)
      throw error
    } finally {
      clearTimeout(timer)
      options?.signal?.removeEventListener('abort', onAbort)
    }
  }
}

interface Keys {
  readonly key: Uint8Array
  readonly proof: Uint8Array
}

/** What a direction is ciphered with: it follows from the key and both nonces, the sender's first. */
function deriveKeys(key: Uint8Array, sender: Uint8Array, receiver: Uint8Array): Keys {
  const salt = Buffer.concat([sender, receiver])
  const bytes = Buffer.from(hkdfSync('sha256', key, salt, 'millrace/network-key/1', 32 + PROOF_LENGTH))
  return { key: bytes.subarray(0, 32), proof: bytes.subarray(32) }
}

/** One connection on its way to being ciphered. */
class Exchange {
  readonly #key: Uint8Array
  readonly #connection: MultiaddrConnection
  readonly #traffic: Traffic
  readonly #source: AsyncIterator<Uint8Array | Uint8ArrayList>
  readonly #nonce = randomBytes(NONCE_LENGTH)
  readonly #received = new Uint8ArrayList()
  readonly #sending = deferred<Keys>()
  readonly #outgoing = deferred<Chunks>()
  readonly #failed = deferred<never>()
  #stage: 'nonce' | 'proof' | 'done' = 'nonce'

  constructor(key: Uint8Array, connection: MultiaddrConnection, traffic: Traffic) {
    this.#key = key
    this.#connection = connection
    this.#traffic = traffic
    this.#source = connection.source[Symbol.asyncIterator]()
    // Nobody waits for these when the other one has ended the exchange.
    for (const { promise } of [this.#sending, this.#outgoing, this.#failed]) promise.catch(ignore)
  }

  async run(): Promise<MultiaddrConnection> {
    const sunk = Promise.resolve(this.#connection.sink(this.#send()))
    sunk.catch((error: unknown) => {
      this.#failed.reject(error)
    })
    try {
      const theirs = await this.#read(NONCE_LENGTH)
      if (theirs.equals(this.#nonce)) throw new NetworkKeyError('sends back what it gets')
      this.#stage = 'proof'
      this.#sending.resolve(deriveKeys(this.#key, this.#nonce, theirs))
      const expected = deriveKeys(this.#key, theirs, this.#nonce)
      const proof = await this.#read(PROOF_LENGTH)
      if (!timingSafeEqual(proof, expected.proof)) throw new NetworkKeyError('has another network key')
      this.#stage = 'done'
      const sink = async (source: Chunks): Promise<void> => {
        this.#outgoing.resolve(source)
        await sunk
      }
      return { ...this.#connection, source: this.#receive(expected.key), sink: sink as MultiaddrConnection['sink'] }
    } catch (error) {
      this.#outgoing.reject(error)
      this.#sending.reject(error)
      throw error
    }
  }

  timeUp(): void {
    if (this.#stage === 'done') return
    const what = 'takes the connection and then exchanges no network key: no millrace there, or no network key'
    this.#failed.reject(new NetworkKeyError(what))
  }

  async #read(length: number): Promise<Buffer> {
    while (this.#received.length < length) {
      const next = await Promise.race([this.#next(), this.#failed.promise])
      if (next.done === true) throw this.#ended()
      this.#received.append(next.value)
      const begin = this.#received.subarray(0, Math.min(this.#received.length, PLAIN_GREETING.length))
      if (this.#stage === 'nonce' && PLAIN_GREETING.equals(begin)) throw new NetworkKeyError('has no network key')
    }
    const bytes = Buffer.from(this.#received.subarray(0, length))
    this.#received.consume(length)
    return bytes
  }

  async #next(): Promise<IteratorResult<Uint8Array | Uint8ArrayList>> {
    try {
      return await this.#source.next()
    } catch (error) {
      throw this.#stage === 'proof' ? this.#ended() : error
    }
  }

  /** Whoever finds our proof wrong ends the connection, perhaps before theirs got here. */
  #ended(): Error {
    return this.#stage === 'proof'
      ? new NetworkKeyError('ended the exchange of network keys: it has probably another one')
      : new ExchangeEndedError('the connection ended before it had begun')
  }

  async *#send(): AsyncGenerator<Uint8Array> {
    yield this.#nonce
    const { key, proof } = await this.#sending.promise
    yield proof
    const cipher = createCipheriv('chacha20', key, Buffer.alloc(16))
    for await (const chunk of coalesce(await this.#outgoing.promise)) {
      this.#traffic.sentBytes += chunk.length
      yield cipher.update(chunk)
    }
  }

  async *#receive(key: Uint8Array): AsyncGenerator<Uint8Array> {
    const decipher = createDecipheriv('chacha20', key, Buffer.alloc(16))
    for (const part of parts(this.#received)) yield decipher.update(part)
    for (let next = await this.#source.next(); next.done !== true; next = await this.#source.next()) {
      this.#traffic.receivedBytes += next.value.length
      for (const part of parts(next.value)) yield decipher.update(part)
    }
  }
}

/** Not the network key: the other side did not want us. */
class ExchangeEndedError extends Error {
  override readonly name = 'ConnectionEndedError'
}

function parts(chunk: Uint8Array | Uint8ArrayList): Iterable<Uint8Array> {
  return chunk instanceof Uint8Array ? [chunk] : chunk
}

interface Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (reason: unknown) => void
}

function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = ignore
  let reject: (reason: unknown) => void = ignore
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}

function ignore(): void {
  // Somebody else is told.
}
