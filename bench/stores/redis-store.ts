import { redis, RedisSession } from '../peers/redis.js'
import { command, RedisConnection } from '../peers/redis-connection.js'
import { keyText, valueText, type Changer, type Locker, type StateStore, type StoreSession } from './store.js'

/** Redis has no comparison with SET before version 8.4: a script does it in one step, and counts versions. */
const COMPARE_AND_SET =
  "local v=redis.call('HGET',KEYS[1],'v') or '0' if v~=ARGV[1] then return redis.error_reply('CONFLICT '..v) end " +
  "redis.call('HSET',KEYS[1],'v',ARGV[2],'x',ARGV[3]) return 1"

const FILL_SIZE = 1000

/** Redis with an append-only file. */
export function redisStore(sync: 'everysec' | 'always'): StateStore {
  const peer = redis(sync)
  return {
    name: peer.name,
    missing: () => peer.missing(),
    start: async (directory) => new RedisStoreSession(await RedisSession.start(directory, sync)),
  }
}

class RedisStoreSession implements StoreSession {
  readonly pid: number
  readonly #session: RedisSession

  constructor(session: RedisSession) {
    this.#session = session
    this.pid = session.pid
  }

  async changer(key: string): Promise<Changer> {
    const connection = await RedisConnection.open(this.#session.port)
    let digest = ''
    await connection.send(Buffer.from(command('SCRIPT', 'LOAD', COMPARE_AND_SET)), 1, (bytes, start, end) => {
      digest = bytes.toString('latin1', start, end)
    })
    await connection.send(Buffer.from(command('DEL', key)), 1)
    const changer = new RedisChanger(connection, digest, key)
    await changer.compareAndSet()
    return changer
  }

  async locker(lock: string): Promise<Locker> {
    return new RedisLocker(await RedisConnection.open(this.#session.port), lock)
  }

  async prepareLock(lock: string): Promise<void> {
    const connection = await RedisConnection.open(this.#session.port)
    await connection.send(Buffer.from(command('LPUSH', lock, 'free')), 1)
    connection.close()
  }

  async fill(keys: number): Promise<void> {
    const connection = await RedisConnection.open(this.#session.port)
    for (let from = 0; from < keys; from += FILL_SIZE) {
      const count = Math.min(FILL_SIZE, keys - from)
      const commands = Array.from({ length: count }, (_, at) =>
        command('HSET', keyText(from + at), 'v', '1', 'x', valueText(from + at)),
      )
      await connection.send(Buffer.from(commands.join('')), count)
    }
    connection.close()
  }

  async firstAnswer(): Promise<void> {
    const connection = await RedisConnection.open(this.#session.port)
    // As long as it reads its file it refuses.
    while (!(await isAnswered(connection))) await new Promise((resolve) => setTimeout(resolve, 5))
    connection.close()
  }

  stop(): Promise<void> {
    return this.#session.stop()
  }
}

async function isAnswered(connection: RedisConnection): Promise<boolean> {
  try {
    await connection.send(Buffer.from(command('HGET', keyText(7), 'x')), 1)
    return true
  } catch {
    return false
  }
}

class RedisChanger implements Changer {
  readonly #connection: RedisConnection
  readonly #digest: string
  readonly #key: string
  #version = 0

  constructor(connection: RedisConnection, digest: string, key: string) {
    this.#connection = connection
    this.#digest = digest
    this.#key = key
  }

  async compareAndSet(): Promise<void> {
    const [before, after] = [String(this.#version), String(this.#version + 1)]
    const words = ['EVALSHA', this.#digest, '1', this.#key, before, after, valueText(this.#version)]
    await this.#connection.send(Buffer.from(command(...words)), 1)
    this.#version++
  }

  close(): void {
    this.#connection.close()
  }
}

/** A list with one element: who takes it has the lock. Without fences and leases, which a real one would need. */
class RedisLocker implements Locker {
  readonly #connection: RedisConnection
  readonly #lock: string

  constructor(connection: RedisConnection, lock: string) {
    this.#connection = connection
    this.#lock = lock
  }

  acquire(): Promise<void> {
    return this.#connection.send(Buffer.from(command('BLPOP', this.#lock, '30')), 1)
  }

  release(): Promise<void> {
    return this.#connection.send(Buffer.from(command('LPUSH', this.#lock, 'free')), 1)
  }

  close(): void {
    this.#connection.close()
  }
}
