import { NodeUnreachableError } from './errors.js'
import type { Requests } from './requests.js'
import type { SocketChannel } from './socket-channel.js'
import type { Transport } from './transport.js'
import { unlessAborted } from './unless-aborted.js'

/** The one WebSocket of a client: opened when it is first wanted, and again when it was lost. */
export class SharedChannel {
  readonly #requests: Requests
  readonly #open: NonNullable<Transport['openChannel']>
  #channel: Promise<SocketChannel> | undefined
  #isClosed = false

  constructor(requests: Requests, open: NonNullable<Transport['openChannel']>) {
    this.#requests = requests
    this.#open = open
  }

  /** Those who ask one after the other get it in that order. @throws NodeUnreachableError, RequestRefusedError, AbortedError */
  get(signal: AbortSignal | undefined): Promise<SocketChannel> {
    return unlessAborted((this.#channel ??= this.#connect()), signal)
  }

  /** Idempotent. */
  close(): void {
    this.#isClosed = true
    this.#channel?.then(
      (channel) => {
        channel.close()
      },
      () => undefined,
    )
  }

  #connect(): Promise<SocketChannel> {
    const connecting: Promise<SocketChannel> = this.#authorised().then(
      (channel) => {
        channel.onLost = forget
        if (this.#isClosed) channel.close()
        return channel
      },
      (error: unknown) => {
        forget()
        if (!(error instanceof NodeUnreachableError)) throw error
        // What the connection was wanted for has not been sent.
        throw new NodeUnreachableError(error.message, { cause: error, neverSent: true })
      },
    )
    const forget = (): void => {
      if (this.#channel === connecting) this.#channel = undefined
    }
    return connecting
  }

  async #authorised(): Promise<SocketChannel> {
    // A WebSocket does not tell why it is refused. A request does, and replaces a token that is no longer taken.
    await this.#requests.askJson('GET', '/api/v2/node/info')
    return this.#open(await this.#requests.token())
  }
}
