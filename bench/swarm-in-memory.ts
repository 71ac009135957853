import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock, toTagSet, type NodeId, type StreamId } from '../core/index.js'
import {
  decodeRequest,
  MemoryNetwork,
  REPLICATE_ALL,
  Replicator,
  type MemoryTransport,
  type NetworkConditions,
} from '../replication/index.js'
import { DataDirectory, Identity, openStore, type Store } from '../storage/index.js'
import { benchEvent, tagsOf } from './events.js'

/** Connections that a node of a larger swarm looks for (`replication/libp2p/dialer.ts`). */
export const USUAL_LINKS = 24
const TOPIC = 'scale'
const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined }

export interface SwarmShape {
  readonly nodes: number
  /** Connections of each node, about; all to all when there are no more nodes than that. */
  readonly links: number
  /** Streams that each node writes. */
  readonly streams: number
  readonly seed: number
  readonly conditions: Partial<NetworkConditions>
}

/** What nodes have sent to each other, summed over all. */
export interface Spent {
  readonly broadcasts: number
  readonly broadcastBytes: number
  readonly duplicates: number
  readonly requests: number
  /** Of requests and answers. */
  readonly requestBytes: number
  /** Comparisons of digests among the requests. */
  readonly compares: number
}

/** One node: a store on disk, its place in the network, and what replicates. */
export interface ScaleNode {
  readonly nodeId: NodeId
  readonly store: Store
  readonly transport: MemoryTransport
  readonly replicator: Replicator
  readonly asked: { bytes: number; compares: number }
  readonly close: () => Promise<void>
}

/**
 * Many nodes in one process: real stores in LevelDB, the real logic of replication, and a network in memory whose time is virtual.
 * That time stands still while a store works, so what it measures is the network's part alone.
 */
export class SwarmInMemory implements AsyncDisposable {
  readonly network: MemoryNetwork
  readonly nodes: ScaleNode[] = []
  readonly #shape: SwarmShape
  readonly #directory: string
  #published = 0

  private constructor(shape: SwarmShape) {
    this.#shape = shape
    this.network = new MemoryNetwork(shape.seed, shape.conditions)
    this.#directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'millrace-scale-'))
  }

  /** All nodes, connected and in agreement that there is nothing yet. */
  static async open(shape: SwarmShape): Promise<SwarmInMemory> {
    const swarm = new SwarmInMemory(shape)
    try {
      for (let at = 0; at < shape.nodes; at++) await swarm.add([])
      swarm.#linkAll()
      await swarm.network.time.advance(2_000)
      return swarm
    } catch (error) {
      await swarm.close()
      throw error
    }
  }

  /** Starts one more node. */
  async add(neighbours: readonly NodeId[]): Promise<ScaleNode> {
    const { network } = this
    const { time } = network
    const seed = createHash('sha256')
      .update(`node ${String(this.nodes.length)}`)
      .digest()
    const path = join(this.#directory, String(this.nodes.length))
    mkdirSync(path)
    writeFileSync(join(path, 'identity.key'), `${seed.toString('hex')}\n`)
    const directory = await DataDirectory.open(path)
    const store = await openSmallStore(directory)
    const names = Array.from({ length: this.#shape.streams }, (_, at) => `stream-${String(at)}`)
    await store.registerStreams(names)
    const transport = network.join(Identity.fromSeed(seed).nodeId, neighbours)
    const asked = meterRequests(transport)
    const { replicas } = store
    const policy = REPLICATE_ALL
    const replicator = new Replicator({ transport, store: replicas, topic: TOPIC, time, policy, logger: SILENT })
    const close = async (): Promise<void> => {
      await replicator.close()
      await transport.close()
      await store.close()
      await directory.close()
    }
    const node = { nodeId: transport.nodeId, store, transport, replicator, asked, close }
    this.nodes.push(node)
    return node
  }

  /** One commit of some events, each of about 200 bytes of payload. @returns the stream and how far it is now */
  async publish(node: ScaleNode, streamNumber: number, events = 1): Promise<{ stream: StreamId; nextOffset: number }> {
    const made = Array.from({ length: events }, () => {
      const event = benchEvent(this.#published++)
      return { tags: toTagSet(tagsOf(event)), payload: Buffer.from(event.payload), streamNumber }
    })
    const timestamp = this.network.time.nowMicros()
    const publications = await node.store.append({ appId: 'com.example.bench', timestamp, events: made })
    const last = publications.at(-1)
    if (last === undefined) throw new Error('nothing was published')
    return { stream: last.stream, nextOffset: last.offset + 1 }
  }

  /** Lets time pass until all nodes hold a stream up to there. @returns how long it took at each, ms, in order of arrival */
  async spread(stream: StreamId, nextOffset: number, limitMs = 60_000): Promise<readonly number[]> {
    const { time } = this.network
    const beganMs = time.monotonicMs()
    const arrivals: number[] = []
    const waiting = new Set(this.nodes)
    const done = await time.advanceUntil(() => {
      for (const node of waiting) {
        if ((node.store.replicas.status(stream)?.nextOffset ?? 0) < nextOffset) continue
        waiting.delete(node)
        arrivals.push(time.monotonicMs() - beganMs)
      }
      return waiting.size === 0
    }, limitMs)
    if (!done) throw new Error(`${String(waiting.size)} nodes never got ${stream}`)
    return arrivals
  }

  /** Lets time pass until all nodes hold everything. @returns how long it took, ms */
  async converge(limitMs = 600_000): Promise<number> {
    const { time } = this.network
    const beganMs = time.monotonicMs()
    const newest = new Map<StreamId, number>()
    for (const { store } of this.nodes) {
      for (const [stream, offset] of store.offsets()) newest.set(stream, Math.max(offset, newest.get(stream) ?? -1))
    }
    const missing = this.nodes.flatMap(({ store: { replicas } }) =>
      Array.from(
        newest,
        ([stream, offset]) =>
          () =>
            (replicas.status(stream)?.nextOffset ?? 0) > offset,
      ),
    )
    // From the back, so that what has arrived is looked at once.
    const holds = (): boolean => {
      while (missing.at(-1)?.() === true) missing.pop()
      return missing.length === 0
    }
    if (!(await time.advanceUntil(holds, limitMs))) throw new Error('the nodes never agreed')
    return time.monotonicMs() - beganMs
  }

  /** What was sent until now. */
  spent(nodes: readonly ScaleNode[] = this.nodes): Spent {
    const sum = { broadcasts: 0, broadcastBytes: 0, duplicates: 0, requests: 0, requestBytes: 0, compares: 0 }
    for (const { transport, asked } of nodes) {
      const counters = transport.counters()
      sum.broadcasts += counters.sentMessages
      sum.broadcastBytes += counters.sentBytes
      sum.duplicates += counters.duplicates
      sum.requests += counters.requestsSent
      sum.requestBytes += asked.bytes + counters.answerBytesReceived
      sum.compares += asked.compares
    }
    return sum
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.splice(0).map(({ close }) => close()))
    rmSync(this.#directory, { recursive: true, force: true })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Random circles through all nodes: nobody has many more links than others, and all are connected. */
  #linkAll(): void {
    const { links, nodes: count } = this.#shape
    const ids = this.nodes.map(({ nodeId }) => nodeId)
    if (links >= count - 1) {
      for (const [at, one] of ids.entries()) for (const other of ids.slice(at + 1)) this.network.link(one, other)
      return
    }
    for (let circle = 0; circle < links / 2; circle++) {
      const order = shuffled(ids, this.network.random.next)
      for (const [at, one] of order.entries()) this.network.link(one, order[(at + 1) % count] ?? one)
    }
  }
}

export function difference(after: Spent, before: Spent): Spent {
  return {
    broadcasts: after.broadcasts - before.broadcasts,
    broadcastBytes: after.broadcastBytes - before.broadcastBytes,
    duplicates: after.duplicates - before.duplicates,
    requests: after.requests - before.requests,
    requestBytes: after.requestBytes - before.requestBytes,
    compares: after.compares - before.compares,
  }
}

export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const left = [...items]
  return Array.from(items, () => left.splice(Math.floor(random() * left.length), 1)).flat()
}

/** Small caches: a hundred of them share one process. */
function openSmallStore(directory: DataDirectory): Promise<Store> {
  return openStore({
    directory,
    topic: TOPIC,
    clock: systemClock,
    logger: SILENT,
    sync: 'always',
    block: { maxEvents: 1024, maxBytes: 256 * 1024 },
    pruneIntervalMs: 3_600_000,
    cacheBytes: 64 * 1024,
    maxInFlightBytes: 1024 * 1024,
    maxUnsealedBytes: 16 * 1024 * 1024,
    reserveBytes: 4096,
  })
}

/** The transport counts answers; here is what is asked. */
function meterRequests(transport: MemoryTransport): { bytes: number; compares: number } {
  const asked = { bytes: 0, compares: 0 }
  const request = transport.request.bind(transport)
  transport.request = (peer, bytes, options) => {
    asked.bytes += bytes.length
    if (decodeRequest(bytes)?.kind === 'compare') asked.compares++
    return request(peer, bytes, options)
  }
  return asked
}
