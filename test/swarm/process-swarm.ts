import { join } from 'node:path'
import { createNetworkKey } from '../../replication/index.js'
import { ApiClient, type Progress, type QueryResult } from '../support/api-client.js'
import { NamespaceNetwork } from '../support/namespaces.js'
import { NodeProcess } from '../support/node-process.js'
import type { Random } from '../support/random.js'
import { check, reasonOf } from '../faults/part.js'
import { delay } from '../faults/kill.js'
import { Ledger, type Lane } from '../faults/ledger.js'

const PORT = 4001

/** Small blocks, so that each round seals some. */
const COMMON = `
storage:
  block: { maxEvents: 64, maxBytes: 16KiB }
eventRouting:
  routes:
    - { from: "'lane:orders'", into: orders }
`

const LANES: readonly Lane[] = [
  { tag: 'lane:default', keepAtLeast: undefined },
  { tag: 'lane:orders', keepAtLeast: undefined },
]

/** How far apart two looks at a swarm are that has not converged yet, ms. */
const LOOK_MS = 100

export interface ProcessSwarmOptions {
  readonly nodes: number
  /** Directory for everything. */
  readonly work: string
  readonly seed: number
  /** Whom a node is configured with; without it all others. */
  readonly peersOf?: (node: number) => readonly number[]
  /** YAML of everything but the swarm; without it small blocks and two streams. */
  readonly config?: string
}

/** A node's process, the connection to it, and what is known of it outside. */
class Member {
  readonly ledger = new Ledger(LANES)
  process: NodeProcess | undefined
  client: ApiClient | undefined
  nodeId = ''
}

/** Daemons in network namespaces, which share a swarm. Those with an address are there from the beginning; each is started when it is wanted. */
export class ProcessSwarm implements AsyncDisposable {
  readonly network: NamespaceNetwork
  readonly #options: ProcessSwarmOptions
  readonly #key = createNetworkKey()
  readonly #members: readonly Member[]

  private constructor(network: NamespaceNetwork, options: ProcessSwarmOptions) {
    this.network = network
    this.#options = options
    this.#members = Array.from({ length: options.nodes }, () => new Member())
  }

  static async open(options: ProcessSwarmOptions): Promise<ProcessSwarm> {
    return new ProcessSwarm(await NamespaceNetwork.open(options.nodes, options.seed), options)
  }

  /** Numbers of the nodes that run. */
  get running(): number[] {
    return this.#members.flatMap(({ process }, node) => (process === undefined ? [] : [node]))
  }

  ledger(node: number): Ledger {
    return this.#member(node).ledger
  }

  client(node: number): ApiClient {
    const { client } = this.#member(node)
    if (client === undefined) throw new Error(`node ${String(node)} does not run`)
    return client
  }

  async start(...nodes: readonly number[]): Promise<void> {
    await Promise.all(nodes.map((node) => this.#start(node)))
  }

  /** SIGKILL. */
  async kill(node: number): Promise<void> {
    const member = this.#member(node)
    const { process } = member
    member.process = undefined
    member.client?.close()
    member.client = undefined
    const exit = await process?.kill()
    check(
      exit === undefined || exit.signal === 'SIGKILL',
      () => `node ${String(node)} ended by itself: ${process?.output.slice(-600) ?? ''}`,
    )
  }

  /** Resolves when each node that runs has `count` peers, or all others that run. */
  async connected(limitMs = 60_000): Promise<void> {
    const others = this.running.length - 1
    await this.#until('connected', limitMs, async () => {
      for (const node of this.running) {
        const info = await this.client(node).get('/api/v2/node/info')
        const { connectedNodes } = JSON.parse(info.body.toString()) as { connectedNodes: number }
        if (connectedNodes < others) return `node ${String(node)} has ${String(connectedNodes)} peers`
      }
      return undefined
    })
  }

  /**
   * Waits until nodes are equally far and miss nothing.
   *
   * @returns how long it took, ms
   */
  async equallyFar(limitMs: number, nodes: readonly number[] = this.running): Promise<number> {
    const startMs = performance.now()
    await this.#until('converged', limitMs, async () => {
      const all = await Promise.all(nodes.map((node) => this.client(node).progress()))
      return differenceOf(nodes, all)
    })
    return performance.now() - startMs
  }

  /**
   * As {@link equallyFar} for all nodes that run; then compares what they answer, and holds it against what is known of
   * each owner.
   */
  async converge(limitMs: number): Promise<number> {
    const tookMs = await this.equallyFar(limitMs)
    await this.#compare(this.running)
    return tookMs
  }

  /** Publishes batches at the nodes until `end` has resolved. A node that is killed meanwhile stops publishing. */
  async publishWhile(
    random: Random,
    pauseMs: number,
    end: Promise<unknown>,
    nodes: readonly number[] = this.running,
  ): Promise<void> {
    let ended = false
    const publishers = nodes.map(async (node) => {
      const { client, ledger } = this.#member(node)
      while (!ended && client !== undefined) {
        try {
          await ledger.publish(client, random, random.pick([1, 1, 2, 5, 20]))
        } catch (error) {
          if (client.connection.closed && this.#member(node).client !== client) return
          throw error
        }
        await delay(pauseMs * 2 * (random.below(1000) / 1000))
      }
    })
    try {
      await end
    } finally {
      ended = true
    }
    await Promise.all(publishers)
  }

  process(node: number): NodeProcess {
    const { process } = this.#member(node)
    if (process === undefined) throw new Error(`node ${String(node)} does not run`)
    return process
  }

  async close(): Promise<void> {
    for (const member of this.#members) {
      member.client?.close()
      await member.process?.kill()
      member.process = undefined
    }
    await this.network.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #member(node: number): Member {
    const member = this.#members[node]
    if (member === undefined) throw new Error(`there is no node ${String(node)}`)
    return member
  }

  async #start(node: number): Promise<void> {
    const member = this.#member(node)
    const { work } = this.#options
    const home = join(work, `node${String(node)}`)
    const { network } = this
    const process = await NodeProcess.start({
      data: join(home, 'data'),
      work: home,
      config: `${this.#options.config ?? COMMON}${this.#swarmSection(node)}`,
      within: network.within(node),
      startTimeoutMs: 60_000,
    })
    member.process = process
    member.client = await ApiClient.open(process.socketPath)
    const id = await member.client.get('/api/v2/node/id')
    member.nodeId = id.body.toString().replaceAll('"', '').trim()
  }

  #swarmSection(node: number): string {
    const { nodes, peersOf } = this.#options
    const others = Array.from({ length: nodes }, (_, at) => at).filter((other) => other !== node)
    const peers = (peersOf?.(node) ?? others).map((peer) => `/ip4/${this.network.ip4(peer)}/tcp/${String(PORT)}`)
    const listen = [`/ip4/0.0.0.0/tcp/${String(PORT)}`]
    return `swarm: ${JSON.stringify({ key: this.#key, listen, peers, mdns: false })}\n`
  }

  async #compare(nodes: readonly number[]): Promise<void> {
    let first: QueryResult | undefined
    for (const node of nodes) {
      const answer = await this.client(node).query('FROM allEvents')
      first ??= answer
      check(answer.status === 200, () => `node ${String(node)} refuses a query: ${answer.refusal.slice(0, 300)}`)
      check(answer.diagnostics.length === 0, () => `node ${String(node)}: ${JSON.stringify(answer.diagnostics)}`)
      const { lines } = first
      const at = answer.lines.findIndex((line, index) => line !== lines[index])
      check(answer.lines.length === lines.length && at < 0, () => {
        const counts = `${String(answer.lines.length)} and ${String(lines.length)} events`
        return `nodes ${String(node)} and ${String(nodes[0])} answer differently from event ${String(at)} on (${counts})`
      })
    }
    if (first === undefined) return
    for (const [owner, { nodeId, ledger }] of this.#members.entries()) {
      if (nodeId === '') continue
      try {
        ledger.compare(ofOwner(first, nodeId))
      } catch (error) {
        throw new Error(`events of node ${String(owner)}: ${reasonOf(error)}`, { cause: error })
      }
    }
  }

  async #until(what: string, limitMs: number, look: () => Promise<string | undefined>): Promise<void> {
    const endMs = performance.now() + limitMs
    for (;;) {
      const missing = await look()
      if (missing === undefined) return
      check(performance.now() < endMs, () => `not ${what} after ${String(limitMs)} ms: ${missing}`)
      await delay(LOOK_MS)
    }
  }
}

/** What of an answer is of one node's streams. */
function ofOwner(answer: QueryResult, nodeId: string): QueryResult {
  const lines = answer.lines.filter((line) => line.includes(`"stream":"${nodeId}-`))
  const offsets = Object.fromEntries(
    Object.entries(answer.offsets ?? {}).filter(([stream]) => stream.startsWith(nodeId)),
  )
  return { ...answer, lines, offsets }
}

/** The first difference between nodes, in words; `undefined` when they are equally far and know of nothing missing. */
function differenceOf(nodes: readonly number[], all: readonly Progress[]): string | undefined {
  const streams = new Set(all.flatMap(({ present }) => Object.keys(present)))
  for (const stream of [...streams].sort()) {
    const offsets = all.map(({ present }) => present[stream] ?? -1)
    if (new Set(offsets).size > 1) {
      return `${stream} is at ${offsets.map((offset, at) => `${String(offset)} (node ${String(nodes[at])})`).join(', ')}`
    }
  }
  const waiting = all.findIndex(({ toReplicate }) => Object.keys(toReplicate).length > 0)
  return waiting < 0
    ? undefined
    : `node ${String(nodes[waiting])} still misses ${JSON.stringify(all[waiting]?.toReplicate)}`
}
