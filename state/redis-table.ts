import type * as RedisClient from '@redis/client'
import type { RecordRange } from './backend.js'
import { loadPlugin, type Plugin } from './plugin.js'
import { REMOTE_CAPABILITIES, type RecordTable, type TableCommit } from './record-table.js'
import { StateProbeError } from './remote-errors.js'

/** Where the records of a node are. */
export interface RedisOptions {
  /** `redis://user:password@host:port/database`, or `rediss:` with TLS. */
  readonly url: string
  /** Whose records these are; several nodes share the database. */
  readonly scope: string
  /** Milliseconds for a connection, and for an answer. */
  readonly attemptMs: number
}

type Redis = typeof RedisClient

/** What is used of a client. */
interface Connection {
  readonly isOpen: boolean
  sendCommand(command: readonly (string | Buffer)[], options: object): Promise<unknown>
  destroy(): void
}

const PLUGIN: Plugin<Redis> = {
  backend: 'redis',
  packageName: '@redis/client',
  range: '6',
  load: () => import('@redis/client'),
}

/** What an instance must be set to, and what becomes of the state otherwise. */
const REQUIRED: readonly (readonly [setting: string, value: string, otherwise: string])[] = [
  ['appendonly', 'yes', 'what was acknowledged is lost at a crash'],
  ['appendfsync', 'always', 'what was acknowledged is lost at a power cut'],
  ['no-appendfsync-on-rewrite', 'no', 'what was acknowledged during a rewrite of the file is lost at a power cut'],
]

/** KEYS: mark, contents by key, keys in order. ARGV: mark before, own mark, then flag, key and content of each record. */
const COMMIT = `
  local mark = redis.call('GET', KEYS[1]) or ''
  if mark == ARGV[2] then return 1 end
  if mark ~= ARGV[1] then return 0 end
  for at = 3, #ARGV, 3 do
    if ARGV[at] == '1' then
      redis.call('HSET', KEYS[2], ARGV[at + 1], ARGV[at + 2])
      redis.call('ZADD', KEYS[3], 0, ARGV[at + 1])
    else
      redis.call('HDEL', KEYS[2], ARGV[at + 1])
      redis.call('ZREM', KEYS[3], ARGV[at + 1])
    end
  end
  redis.call('SET', KEYS[1], ARGV[2])
  return 1`

/** KEYS as above. ARGV: least and greatest key as ZRANGEBYLEX has them, and how many. Answers with keys and contents in turn. */
const PAGE = `
  local page = {}
  for _, key in ipairs(redis.call('ZRANGEBYLEX', KEYS[3], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])) do
    page[#page + 1] = key
    page[#page + 1] = redis.call('HGET', KEYS[2], key)
  end
  return page`

/** Records in one instance of Redis whose append-only file is synced before each answer. A failover may lose some of them. */
export class RedisTable implements RecordTable {
  readonly name = 'redis'
  readonly capabilities = REMOTE_CAPABILITIES
  readonly #redis: Redis
  readonly #options: RedisOptions
  /** In one slot, should there be several. */
  readonly #keys: readonly [mark: string, contents: string, order: string]
  #connection: Promise<Connection> | undefined
  #isClosed = false

  private constructor(redis: Redis, options: RedisOptions) {
    this.#redis = redis
    this.#options = options
    const prefix = `millrace:{${options.scope}}`
    this.#keys = [`${prefix}:mark`, `${prefix}:contents`, `${prefix}:order`]
  }

  /** @throws StatePluginMissingError, StateProbeError when the instance does not keep what it acknowledges, errors of the driver */
  static async open(options: RedisOptions): Promise<RedisTable> {
    const table = new RedisTable(await loadPlugin(PLUGIN), options)
    try {
      await table.#checkSettings()
      // Settings are told while the records are still being loaded.
      await table.mark()
      return table
    } catch (error) {
      await table.close()
      throw error
    }
  }

  async mark(): Promise<string> {
    const mark = await this.#ask<Buffer | null>(['GET', this.#keys[0]])
    return mark?.toString() ?? ''
  }

  async read(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    if (keys.length === 0) return []
    const found = await this.#ask<(Buffer | null)[]>(['HMGET', this.#keys[1], ...keys])
    return found.map((content) => content ?? undefined)
  }

  async page({ gte, gt, lt, limit }: RecordRange): Promise<[Buffer, Buffer][]> {
    const from = gt === undefined ? bound('[', gte ?? Buffer.alloc(0)) : bound('(', gt)
    const to = lt === undefined ? '+' : bound('(', lt)
    const flat = await this.#ask<Buffer[]>(['EVAL', PAGE, '3', ...this.#keys, from, to, String(limit)])
    const page: [Buffer, Buffer][] = []
    for (let at = 0; at + 1 < flat.length; at += 2) page.push([flat[at] ?? NOTHING, flat[at + 1] ?? NOTHING])
    return page
  }

  async commit({ after, mark, writes }: TableCommit): Promise<boolean> {
    const records = writes.flatMap(({ key, content }) => [content === undefined ? '0' : '1', key, content ?? NOTHING])
    return (await this.#ask<number>(['EVAL', COMMIT, '3', ...this.#keys, after, mark, ...records])) === 1
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#drop(this.#connection)
  }

  /** Asked again by whoever wants to: a connection that failed is given up, since nobody knows what it still brings. */
  async #ask<R>(command: readonly (string | Buffer)[]): Promise<R> {
    if (this.#isClosed) throw new Error('the connection was closed')
    const connection = (this.#connection ??= this.#connect())
    try {
      const client = await connection
      return (await client.sendCommand(command, {
        typeMapping: { [this.#redis.RESP_TYPES.BLOB_STRING]: Buffer },
        timeout: this.#options.attemptMs,
      })) as R
    } catch (error) {
      if (!(error instanceof this.#redis.ErrorReply)) await this.#drop(connection)
      throw error
    }
  }

  async #connect(): Promise<Connection> {
    const { url, attemptMs } = this.#options
    const client = this.#redis.createClient({
      url,
      // Answers as lists, also where newer versions of the protocol have maps.
      RESP: 2,
      disableOfflineQueue: true,
      socket: { connectTimeout: attemptMs, reconnectStrategy: false },
    })
    // Commands under way get the error too.
    client.on('error', () => undefined)
    await client.connect()
    return client
  }

  async #drop(connection: Promise<Connection> | undefined): Promise<void> {
    if (this.#connection === connection) this.#connection = undefined
    const client = await connection?.catch(() => undefined)
    if (client?.isOpen === true) client.destroy()
  }

  async #checkSettings(): Promise<void> {
    for (const [setting, value, otherwise] of REQUIRED) {
      const found = await this.#setting(setting)
      if (found !== value) throw this.#refusal(`${setting} is ${found} instead of ${value}: ${otherwise}`)
    }
    const policy = await this.#setting('maxmemory-policy')
    if ((await this.#setting('maxmemory')) !== '0' && policy !== 'noeviction') {
      throw this.#refusal(
        `maxmemory-policy is ${policy} instead of noeviction: records would vanish when memory is short`,
      )
    }
  }

  async #setting(name: string): Promise<string> {
    try {
      const [, value] = await this.#ask<[Buffer, Buffer] | []>(['CONFIG', 'GET', name])
      return value?.toString() ?? 'unknown'
    } catch (error) {
      // Who is no user here learns nothing about settings.
      if (!(error instanceof this.#redis.ErrorReply) || /^(WRONGPASS|NOAUTH) /.test(error.message)) throw error
      throw this.#refusal(
        `it cannot be found out whether the instance is durable, CONFIG GET was refused: ${error.message}`,
      )
    }
  }

  #refusal(found: string): StateProbeError {
    return new StateProbeError(this.name, 'durableAck', found)
  }
}

const NOTHING = Buffer.alloc(0)

function bound(kind: '[' | '(', key: Buffer): Buffer {
  return Buffer.concat([Buffer.from(kind), key])
}
