import { existsSync, mkdirSync } from 'node:fs'
import { connect, type ClientHttp2Session } from 'node:http2'
import { join, resolve } from 'node:path'
import { freePort, ServerProcess } from '../server-process.js'
import { decodeMessage, encodeMessage } from './protobuf.js'
import { keyText, valueText, type Changer, type Locker, type StateStore, type StoreSession } from './store.js'

const PROGRAM = [resolve('.cache/bin/etcd'), '/usr/bin/etcd'].find((path) => existsSync(path))

const KV_TXN = '/etcdserverpb.KV/Txn'
const KV_RANGE = '/etcdserverpb.KV/Range'
const LEASE_GRANT = '/etcdserverpb.Lease/LeaseGrant'
const LOCK = '/v3lockpb.Lock/Lock'
const UNLOCK = '/v3lockpb.Lock/Unlock'

/** Numbers of fields in etcd's messages. */
const TARGET_MOD = 2
const LEASE_SECONDS = 60

/** Operations that etcd takes in one transaction, and transactions under way while filling. */
const FILL_SIZE = 128
const FILL_WAYS = 8

/** One node of etcd, which syncs each change like ours. */
export const etcdStore: StateStore = {
  name: 'etcd',
  missing: () =>
    Promise.resolve(
      PROGRAM === undefined ? 'etcd is neither in .cache/bin nor installed (apt-get install etcd-server)' : undefined,
    ),
  start: (directory) => EtcdSession.start(directory),
}

class EtcdSession implements StoreSession {
  readonly pid: number
  readonly #server: ServerProcess
  readonly #port: number
  #leases = 0

  private constructor(server: ServerProcess, port: number) {
    this.#server = server
    this.#port = port
    this.pid = server.pid
  }

  static async start(directory: string): Promise<EtcdSession> {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const [port, peerPort] = [await freePort(), await freePort()]
    const [url, peerUrl] = [port, peerPort].map((each) => `http://127.0.0.1:${String(each)}`)
    const settings = {
      'data-dir': join(directory, 'etcd'),
      'listen-client-urls': url,
      'advertise-client-urls': url,
      'listen-peer-urls': peerUrl,
      'initial-advertise-peer-urls': peerUrl,
      'initial-cluster': `default=${peerUrl ?? ''}`,
      'quota-backend-bytes': String(8 * 1024 ** 3),
      'log-level': 'error',
    }
    const args = Object.entries(settings).map(([name, value]) => `--${name}=${value ?? ''}`)
    return new EtcdSession(await ServerProcess.start(PROGRAM ?? 'etcd', args, port), port)
  }

  async changer(key: string): Promise<Changer> {
    const changer = new EtcdChanger(await Grpc.open(this.#port), key)
    await changer.create()
    return changer
  }

  async locker(lock: string): Promise<Locker> {
    const grpc = await Grpc.open(this.#port)
    const lease = ++this.#leases
    const request = encodeMessage([
      [1, LEASE_SECONDS],
      [2, lease],
    ])
    await grpc.call(LEASE_GRANT, request)
    return new EtcdLocker(grpc, lock, lease)
  }

  async fill(keys: number): Promise<void> {
    let next = 0
    const way = async (): Promise<void> => {
      const grpc = await Grpc.open(this.#port)
      while (next < keys) {
        const from = next
        next = Math.min(keys, from + FILL_SIZE)
        const puts = Array.from({ length: next - from }, (_, at) => {
          return [2, putOf(keyText(from + at), valueText(from + at))] as const
        })
        await grpc.call(KV_TXN, encodeMessage(puts))
      }
      grpc.close()
    }
    await Promise.all(Array.from({ length: FILL_WAYS }, way))
  }

  async firstAnswer(): Promise<void> {
    const grpc = await Grpc.open(this.#port)
    const range = decodeMessage(await grpc.call(KV_RANGE, encodeMessage([[1, keyText(7)]])))
    if (!range.has(2)) throw new Error('etcd does not have the key')
    grpc.close()
  }

  stop(): Promise<void> {
    return this.#server.stop()
  }
}

/** A RequestOp that puts. */
function putOf(key: string, value: string): Buffer {
  const put = encodeMessage([
    [1, key],
    [2, value],
  ])
  return encodeMessage([[2, put]])
}

/** Calls without streams over one connection. */
class Grpc {
  readonly #session: ClientHttp2Session

  private constructor(session: ClientHttp2Session) {
    this.#session = session
  }

  static open(port: number): Promise<Grpc> {
    return new Promise((resolve, reject) => {
      const session = connect(`http://127.0.0.1:${String(port)}`)
      session.once('error', reject)
      session.once('connect', () => {
        resolve(new Grpc(session))
      })
    })
  }

  /** @throws Error unless the status is 0 */
  call(path: string, message: Buffer): Promise<Buffer> {
    const frame = Buffer.alloc(5 + message.length)
    frame.writeUInt32BE(message.length, 1)
    message.copy(frame, 5)
    return new Promise((resolve, reject) => {
      const stream = this.#session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
      })
      const chunks: Buffer[] = []
      const finish = (status: string | string[] | undefined, why: string | string[] | undefined): void => {
        if (status === '0') resolve(Buffer.concat(chunks).subarray(5))
        else if (status !== undefined) reject(new Error([path, status, why].flat().join(' ')))
      }
      stream.on('response', (headers) => {
        finish(headers['grpc-status'] === '0' ? undefined : headers['grpc-status'], headers['grpc-message'])
      })
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('trailers', (trailers) => {
        finish(trailers['grpc-status'], trailers['grpc-message'])
      })
      stream.on('error', reject)
      stream.end(frame)
    })
  }

  close(): void {
    this.#session.destroy()
  }
}

class EtcdChanger implements Changer {
  readonly #grpc: Grpc
  readonly #key: string
  #revision = 0
  #count = 0

  constructor(grpc: Grpc, key: string) {
    this.#grpc = grpc
    this.#key = key
  }

  create(): Promise<void> {
    return this.#txn([])
  }

  compareAndSet(): Promise<void> {
    const compare = encodeMessage([
      [2, TARGET_MOD],
      [3, this.#key],
      [6, this.#revision],
    ])
    return this.#txn([[1, compare]])
  }

  close(): void {
    this.#grpc.close()
  }

  async #txn(conditions: readonly (readonly [number, Buffer])[]): Promise<void> {
    const put = putOf(this.#key, valueText(this.#count++))
    const answer = decodeMessage(await this.#grpc.call(KV_TXN, encodeMessage([...conditions, [2, put]])))
    if (answer.get(2) !== 1) throw new Error('the value was another one')
    const header = answer.get(1)
    this.#revision = Number(Buffer.isBuffer(header) ? decodeMessage(header).get(3) : 0)
  }
}

class EtcdLocker implements Locker {
  readonly #grpc: Grpc
  readonly #lock: string
  readonly #lease: number
  #key: Buffer = Buffer.alloc(0)

  constructor(grpc: Grpc, lock: string, lease: number) {
    this.#grpc = grpc
    this.#lock = lock
    this.#lease = lease
  }

  async acquire(): Promise<void> {
    const request = encodeMessage([
      [1, this.#lock],
      [2, this.#lease],
    ])
    const key = decodeMessage(await this.#grpc.call(LOCK, request)).get(2)
    this.#key = Buffer.isBuffer(key) ? key : Buffer.alloc(0)
  }

  async release(): Promise<void> {
    await this.#grpc.call(UNLOCK, encodeMessage([[1, this.#key]]))
  }

  close(): void {
    this.#grpc.close()
  }
}
