import type { HttpConnection } from '../../test/support/http-connection.js'
import { MillraceSession } from '../peers/millrace.js'
import { keyText, valueText, type Changer, type Locker, type StateStore, type StoreSession } from './store.js'

const STATE = '/api/millrace/v1/state'

/** Entries set in one transaction while filling, and transactions under way. */
const FILL_SIZE = 500
const FILL_WAYS = 4

/** How long a lock is held at most, and waited for, ms. */
const TTL_MS = 60_000
const WAIT_MS = 30_000

/** @param config lines of the configuration file; by default every change is synced */
export function millraceStore(name = 'millrace', config = ''): StateStore {
  return {
    name,
    missing: () => Promise.resolve(undefined),
    start: async (directory) => new MillraceStoreSession(await MillraceSession.start(directory, config)),
  }
}

class MillraceStoreSession implements StoreSession {
  readonly pid: number
  readonly #session: MillraceSession

  constructor(session: MillraceSession) {
    this.#session = session
    this.pid = session.pid
  }

  async changer(key: string): Promise<Changer> {
    const changer = new MillraceChanger(await this.#connect(), key)
    await changer.create()
    return changer
  }

  async locker(lock: string): Promise<Locker> {
    return new MillraceLocker(await this.#connect(), lock)
  }

  async fill(keys: number): Promise<void> {
    let next = 0
    const way = async (): Promise<void> => {
      const api = await this.#connect()
      while (next < keys) {
        const from = next
        next = Math.min(keys, from + FILL_SIZE)
        const then = Array.from({ length: next - from }, (_, at) => {
          return `{"op":"set","key":"${keyText(from + at)}","value":${valueText(from + at)}}`
        })
        await api.ask('POST', `${STATE}/txn`, '', `{"then":[${then.join(',')}]}`)
      }
      api.close()
    }
    await Promise.all(Array.from({ length: FILL_WAYS }, way))
  }

  async firstAnswer(): Promise<void> {
    const api = await this.#connect()
    await api.ask('GET', `${STATE}/kv/${keyText(7)}`)
    api.close()
  }

  stop(): Promise<void> {
    return this.#session.stop()
  }

  async #connect(): Promise<StateApi> {
    const { connection, token } = await this.#session.client()
    return new StateApi(connection, token)
  }
}

/** The API of the state over one connection. */
class StateApi {
  readonly #connection: HttpConnection
  readonly #common: string

  constructor(connection: HttpConnection, token: string) {
    this.#connection = connection
    this.#common = `HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\n`
  }

  /** @throws Error for a refusal */
  async ask(method: string, path: string, headers = '', body?: string): Promise<string> {
    const reply = await this.#connection.request(`${method} ${path} ${this.#common}${headers}`, body)
    const text = reply.body.toString()
    if (reply.status >= 300) throw new Error(`${String(reply.status)}: ${text}`)
    return text
  }

  close(): void {
    this.#connection.destroy()
  }
}

class MillraceChanger implements Changer {
  readonly #api: StateApi
  readonly #path: string
  #version = ''
  #count = 0

  constructor(api: StateApi, key: string) {
    this.#api = api
    this.#path = `${STATE}/kv/${key}`
  }

  create(): Promise<void> {
    return this.#put('')
  }

  compareAndSet(): Promise<void> {
    return this.#put(`if-match: "${this.#version}"\r\n`)
  }

  close(): void {
    this.#api.close()
  }

  async #put(condition: string): Promise<void> {
    const text = await this.#api.ask('PUT', this.#path, condition, valueText(this.#count++))
    this.#version = /"version":"(\d+)"/.exec(text)?.[1] ?? ''
  }
}

class MillraceLocker implements Locker {
  readonly #api: StateApi
  readonly #path: string
  #fence = ''

  constructor(api: StateApi, lock: string) {
    this.#api = api
    this.#path = `${STATE}/locks/${lock}`
  }

  async acquire(): Promise<void> {
    const body = `{"ttlMs":${String(TTL_MS)},"waitMs":${String(WAIT_MS)}}`
    const text = await this.#api.ask('POST', `${this.#path}/acquire`, '', body)
    this.#fence = /"fence":"(\d+)"/.exec(text)?.[1] ?? ''
  }

  async release(): Promise<void> {
    await this.#api.ask('POST', `${this.#path}/release`, '', `{"fence":"${this.#fence}"}`)
  }

  close(): void {
    this.#api.close()
  }
}
